BUILTIN_OPCODE2NAME: dict[int, str]
