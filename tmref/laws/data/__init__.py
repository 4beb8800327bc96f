"""Laws of labels, blocks and maps."""
