"""Supervised subprocesses: time limits, bounded output, and the end of whole process trees."""
