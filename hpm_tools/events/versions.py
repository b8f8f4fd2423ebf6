"""The version of each kind of event, as its declaration in commands/events.py has it."""

VERSIONS: dict[str, int] = {}
"""Kind → version, for the kinds whose fields changed in a way that a reader must know of; all others are at 1."""
