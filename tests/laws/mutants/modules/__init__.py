"""Defects of modules, a file for each file of laws."""
