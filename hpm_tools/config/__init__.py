"""The effective configuration: one validated, frozen, typed object, and where each value came from."""

from __future__ import annotations

from hpm_tools.config.gathering import ConfigProblems
from hpm_tools.config.load import load_config, require_repository, state_dir
from hpm_tools.config.model import ClaudeConfig, Configuration, WorktreeConfig

__all__ = [
    "ClaudeConfig",
    "ConfigProblems",
    "Configuration",
    "WorktreeConfig",
    "load_config",
    "require_repository",
    "state_dir",
]
