"""Supervised subprocesses: time limits, bounded output, and the end of whole process trees."""

# no failpoints in this package: pipes, signals and logs, nothing that a step's journal speaks of
