"""The hint to log in names a program that the person can call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools.executor.discovery import as_typed

if TYPE_CHECKING:
    from pathlib import Path


def test_cli_is_named_by_its_path_unless_path_leads_to_it(tmp_path: Path) -> None:
    cli = tmp_path / "my tools" / "claude"
    cli.parent.mkdir()
    cli.write_text("#!/bin/sh\n", encoding="utf-8")
    cli.chmod(0o755)
    assert as_typed(cli, {"PATH": os.fspath(cli.parent)}) == "claude"
    assert as_typed(cli, {"PATH": "/nowhere"}) == f"'{cli}'"
    assert as_typed(None, {"PATH": "/nowhere"}) == "claude"
