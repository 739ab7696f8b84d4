"""The C sources of the firmware: start-up code, board descriptions, the embedded-ELF loader, the applications.

Nothing here is Python; it is a package so that an installed lowtide finds the files.
"""
