"""Benchmarks: what they print depends on the machine, so they are no tests."""
