"""All that an agent can do, in one register."""

from __future__ import annotations

from tests.worlds import (
    acts_claims,
    acts_files,
    acts_git,
    acts_inside,
    acts_odd,
    acts_place,
    acts_planted,
    acts_processes,
    acts_refs,
    acts_unfinished,
)
from tests.worlds.acting import ACTS

__all__ = ["ACTS"]

MODULES = (
    acts_claims,
    acts_files,
    acts_git,
    acts_inside,
    acts_odd,
    acts_place,
    acts_planted,
    acts_processes,
    acts_refs,
    acts_unfinished,
)
"""Those whose acts are declared by importing them."""
