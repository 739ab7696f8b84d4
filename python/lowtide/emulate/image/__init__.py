"""Programs in an emulated memory: the embedded ELF loaded, or the object linked."""
