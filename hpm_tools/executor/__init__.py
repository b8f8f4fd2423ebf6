"""Running one coding agent on one task, and judging how that ended."""
