"""The check of records knows every field that a snapshot has."""

from __future__ import annotations

from dataclasses import fields

from hpm_tools.runner.record_check import OF_SNAPSHOT
from hpm_tools.worktree.evidence import Snapshot


def test_each_field_of_a_snapshot_is_checked() -> None:
    assert list(OF_SNAPSHOT) == [field.name for field in fields(Snapshot)]
