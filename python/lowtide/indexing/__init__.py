"""Symbolic index arithmetic: which element a loop reads."""
