"""The releases of an implementation, each checked in an environment of its own."""
