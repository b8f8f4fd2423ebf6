"""Refuses a mark @pytest.mark.fault whose id the catalogue of faults does not have."""

from __future__ import annotations

import pytest

from tests.faults.catalogue import MARK, rows


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = rows()
    for item in items:
        for mark in item.iter_markers(MARK):
            if not mark.args or any(name not in known for name in mark.args):
                raise pytest.UsageError(
                    f"{item.nodeid}: tests/faults/catalogue.toml has no fault {', '.join(map(repr, mark.args))}"
                )
