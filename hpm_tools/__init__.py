"""Composable commands that run coding agents unattended against a Headless PM board."""

__version__ = "0.1.0"
