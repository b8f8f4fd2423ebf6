"""A repository with a tasks.py of ours, and what `health` says of the settings there by each front end."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from tests.support.frontends import BIN, call

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.board_process import BoardUnderTest
    from tests.support.frontends import Done

PLAIN = "from hpm_tools.tasks import ns\n"


def make_shop(tmp_path: Path, board: BoardUnderTest, monkeypatch: pytest.MonkeyPatch) -> Path:
    # health asks the board, and would wait for one that is not there.
    monkeypatch.setenv("HEADLESS_PM_API_URL", board.url)
    monkeypatch.setenv("HEADLESS_PM_API_KEY", board.key)
    directory = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", str(directory)], check=True)
    (directory / "tasks.py").write_text(PLAIN, encoding="utf-8")
    return directory


def configure(shop: Path, **settings: Any) -> None:
    """Have the tasks.py set these by ns.configure."""
    (shop / "tasks.py").write_text(f"{PLAIN}ns.configure({{'hpm': {settings!r}}})\n", encoding="utf-8")


def by(front: str, shop: Path, *words: str) -> Done:
    return call([BIN / front, *words], cwd=shop)


def shown(done: Done) -> dict[str, Any]:
    """What health --json says of each setting."""
    found: dict[str, Any] = json.loads(done.stdout)["config"]
    return found
