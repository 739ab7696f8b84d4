"""The microcontroller that Unicorn emulates: its core, its memory to the byte, what is recorded while it runs."""
