"""What happened, kept in one SQLite file that every process of a state directory appends to."""
