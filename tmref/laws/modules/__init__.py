"""Laws of modules, a file a family."""
