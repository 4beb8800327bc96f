"""Laws of operations on maps."""
