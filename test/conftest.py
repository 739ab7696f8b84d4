"""Puts this folder on the import path: helpers that several kinds of test share live here."""
