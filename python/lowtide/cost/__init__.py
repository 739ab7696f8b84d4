"""What a plan takes in instructions, loads and stores, said without compiling it."""
