"""Defects of operations, a file for each file of laws."""
