"""What a repository can be: every part is declared once this module is imported."""

from __future__ import annotations

from tests.worlds import (
    repository_config,
    repository_files,
    repository_filters,
    repository_layout,
    repository_nested,
    repository_place,
    repository_settings,
    repository_state,
)
from tests.worlds.checkout import REPOSITORY

__all__ = [
    "REPOSITORY",
    "repository_config",
    "repository_files",
    "repository_filters",
    "repository_layout",
    "repository_nested",
    "repository_place",
    "repository_settings",
    "repository_state",
]
