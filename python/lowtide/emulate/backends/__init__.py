"""Ways to run a compiled network: Unicorn, QEMU, this machine."""
