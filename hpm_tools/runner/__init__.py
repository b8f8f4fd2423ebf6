"""The continuous runner: the same functions that the commands call, in the order of docs/design.md, Steps."""
