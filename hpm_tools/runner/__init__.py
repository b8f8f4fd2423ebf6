"""The continuous runner: the same functions that the commands call, in the order of DESIGN §3."""
