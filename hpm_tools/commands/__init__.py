"""One module per group of commands: typed arguments in, a Result out; the work is done elsewhere."""
