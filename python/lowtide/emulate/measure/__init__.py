"""How often each instruction was executed, and of which kind it is."""
