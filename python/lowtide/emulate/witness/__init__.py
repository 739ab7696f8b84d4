"""Whether each run of a layer reads what it should, held against a record of all accesses."""
