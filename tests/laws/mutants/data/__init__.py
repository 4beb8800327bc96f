"""Defects of labels, blocks and maps, a file for each file of laws."""
