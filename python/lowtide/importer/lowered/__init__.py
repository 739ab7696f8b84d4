"""Operators of `.tflite` that lowtide lowers to linalg itself: TOSA has no way to say them, or says them otherwise.

A file has operators of one kind; each gives a `LOWERED` map, which `library.py` gathers.
"""
