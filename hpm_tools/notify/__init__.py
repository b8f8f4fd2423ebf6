"""Telling people elsewhere what needs them: which events are worth it, in which words, and how they get there."""
