"""The repository and the home of somebody who knows Invoke and nothing of us: strangers_tasks/tasks.py is his tasks.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.frontends import BIN, PROJECT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable

    from tests.support.runners import Desk

TASKS = (PROJECT / "tests" / "support" / "strangers_tasks" / "tasks.py").read_text(encoding="utf-8")

WITH_AND_WITHOUT_INIT = pytest.mark.parametrize(
    "init", [False, True], ids=["alone", "below what init writes"]
)
"""His tasks.py is all there is, or it stands below the lines of `hpm init`, with the invoke.yaml that comes with them."""


class Shop:
    """``invoke`` is the console script, called in the repository; the settings are in ~/.invoke.yaml alone."""

    def __init__(self, desk: Desk, tasks: str = TASKS, *, init: bool) -> None:
        self.desk = desk
        config = desk.state / "config.yaml"
        self.settings = desk.home / ".invoke.yaml"
        self.settings.write_text(f'{{"hpm": {config.read_text(encoding="utf-8")}}}', encoding="utf-8")
        config.unlink()
        if init:
            done = desk.hpm("init")
            assert done.returncode == 0, done.stderr
        with (desk.repo / "tasks.py").open("a", encoding="utf-8") as file:
            file.write(tasks)
        if not init:
            desk.git("add", "tasks.py")
            desk.git("commit", "-q", "-m", "Our tasks")

    def invoke(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        self.desk.more = env
        return self.desk.hpm_as([str(BIN / "invoke")], *words)

    def prints(self, *words: str, **env: str) -> list[str]:
        """The lines of a call that must succeed."""
        done = self.invoke(*words, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def held(self) -> dict[str, int]:
        """Agent → task of all records here."""
        found: Iterable[dict[str, Any]] = json.loads(self.desk.hpm("locks", "--json").stdout)["locks"]
        return {record["agent_id"]: record["task_id"] for record in found}
