"""Cycles, modelled: how long a core takes for the instructions that an emulator counted."""
