"""Deliberately broken implementations, in chapters as the laws are: the reference with one planted
defect each."""
