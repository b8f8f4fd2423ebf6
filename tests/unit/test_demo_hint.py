"""What the demo names at its end can be typed as it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpm_tools.commands.demo import _where_next
from tests.support.frontends import BIN


@pytest.mark.parametrize(
    ("path", "program"), [("/usr/bin:/bin", str(BIN / "hpm")), (f"{BIN}:/usr/bin", "hpm")], ids=["off", "on"]
)
def test_demo_names_hpm_by_its_path_where_path_does_not_lead_to_it(
    monkeypatch: pytest.MonkeyPatch, path: str, program: str
) -> None:
    monkeypatch.setenv("PATH", path)
    told = _where_next(Path("/tmp/demo"), None)
    assert f": {program} demo --keep DIR\n" in told
    assert told.endswith(f": {program} run --help")
