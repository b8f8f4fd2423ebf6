# ruff: noqa: ISC004  (several lines of source are one text)
"""Promises broken on purpose, to show that the campaign can fail: each names the case that catches it.

A mutant is a copy of the package with a few lines changed, run instead of it; nothing in the package
itself knows of this.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.campaign.bench import Fault
from tests.campaign.cases import Case
from tests.campaign.points import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """``edits`` are (file, text, replacement), each text standing there exactly once; ``invariant`` objects in ``case``."""

    name: str
    edits: Sequence[tuple[str, str, str]]
    case: Case
    invariant: str


def make(mutant: Mutant, directory: Path) -> Path:
    """A directory to put first on PYTHONPATH; AssertionError if the package no longer has the text to change."""
    shutil.copytree(PACKAGE, directory / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        PACKAGE.parent / "hooks", directory / "hooks", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, text, replacement in mutant.edits:
        path = directory / PACKAGE.name / name
        source = path.read_text(encoding="utf-8")
        assert source.count(text) == 1, f"{mutant.name}: {name} has {source.count(text)} times {text!r}"
        changed = source.replace(text, replacement)
        compile(changed, str(path), "exec")
        path.write_text(changed, encoding="utf-8")
    return directory


MUTANTS = (
    Mutant(
        "a worktree is removed without salvage",
        (
            (
                "worktree/removal.py",
                "    if not (files or commits or found.dirty):\n        return None, None\n",
                "    if True:\n        return None, None\n",
            ),
        ),
        Case("ignored files"),
        "I2",
    ),
    Mutant(
        "exit code 0 is believed",
        (("executor/verdict.py", "    if qa or changed:\n", "    if True:\n"),),
        Case("nothing done"),
        "I4",
    ),
    Mutant(
        "a report is made without its evidence",
        (
            ("runner/steps.py", "    if keeps and not clean:", "    if False:"),
            ("runner/steps.py", "elif not clean and tools.repository.dirty(place):", "elif False:"),
        ),
        Case("maker major"),
        "I4",
    ),
    Mutant(
        "what was told is told again after a restart",
        (
            (
                "board/lease.py",
                "    if not _ours(task, lease):\n        if _was_told",
                "    if False:\n        if _was_told",
            ),
            (
                "board/lease.py",
                "if task.status not in (UNDER_WORK, lease.status_before, target):",
                "if False:",
            ),
        ),
        Case("maker major", Fault("lease.left", "kill")),
        "I4",
    ),
    Mutant(
        "the orphan of a dead runner is left alone",
        (
            (
                "process/tree.py",
                "    family = Family(child, cookie)\n    end_all(family.group",
                "    return []\n    family = Family(child, cookie)\n    end_all(family.group",
            ),
        ),
        Case("resumed"),
        "I1",
    ),
    Mutant(
        "the heartbeat is forgotten",
        (("runner/toolbox.py", "            self.heartbeat.start()\n", "            pass\n"),),
        Case("lost lock"),
        "I1",
    ),
    Mutant(
        "the record is cleared before the report",
        (
            (
                "runner/steps.py",
                "        _tell(tools, record, ending, held)\n",
                "        kept = Path(tools.persistence.path).read_bytes()\n"
                "        Path(tools.persistence.path).unlink()\n"
                "        _tell(tools, record, ending, held)\n"
                "        Path(tools.persistence.path).write_bytes(kept)\n",
            ),
        ),
        Case("given back", Fault("lease.unlockable", "kill")),
        "I4",
    ),
    Mutant(
        "placeholders are committed",
        (
            ("worktree/status.py", "    if path not in PLACEHOLDERS and not path", "    if True or not path"),
            (
                "executor/sandbox.py",
                "    return [path for path in _suspects",
                "    return []\n    return [path for path in _suspects",
            ),
        ),
        Case("killed sandbox"),
        "I4",
    ),
    Mutant(
        "a corrupt record means that there was no task",
        (
            (
                "runner/recovery.py",
                '        _end_lost_run(tools, error.hints.get("run_id"))\n'
                "        record = rebuild(tools, holder=holder, owner_pid=owner_pid)\n",
                "        record = None\n        tools.persistence.settle_corrupt()\n",
            ),
        ),
        Case("corrupt record"),
        "I4",
    ),
    Mutant(
        "records are written in place",
        (
            (
                "state/files.py",
                "        while not _write_once(path, data, exclusive):\n            continue\n",
                '        with open(path, "wb") as file:\n'
                "            file.write(data[: len(data) // 2])\n            file.flush()\n"
                '            failpoints.reach("file.written")\n            file.write(data[len(data) // 2 :])\n',
            ),
        ),
        Case("maker minor", Fault("file.written", "kill", 2)),
        "I8",
    ),
    Mutant(
        "the checkout is cleaned without salvage",
        (
            (
                "worktree/salvage.py",
                "    git = Git(directory)\n    found = take_status(git)\n",
                '    Git(directory).run("reset", "--hard")\n    Git(directory).run("clean", "-fd")\n'
                "    git = Git(directory)\n    found = take_status(git)\n",
            ),
        ),
        Case("parked minor"),
        "I2",
    ),
    Mutant(
        "the board's key is in the agent's environment",
        (
            (
                "executor/command.py",
                "        allowed = base_environment(self.environ, self.env_names)\n",
                "        allowed = dict(self.environ)\n",
            ),
        ),
        Case("maker minor"),
        "I5",
    ),
    Mutant(
        "the board's words go to the terminal as they are",
        (
            (
                "text.py",
                "def for_terminal(text: str) -> str:\n",
                "def for_terminal(text: str) -> str:\n    return text\n\n\ndef _unused(text: str) -> str:\n",
            ),
        ),
        Case("maker major"),
        "I6",
    ),
    Mutant(
        "a task is given back without under_work",
        (
            (
                "board/lease.py",
                '    if task.status != UNDER_WORK:\n        _put(board, lease, task, UNDER_WORK)\n        failpoints.reach("lease.unlockable")\n',
                "",
            ),
        ),
        Case("given back", None, "upstream"),
        "I4",
    ),
    Mutant(
        "what a killed runner booked to the task alone is never booked to the day",
        (("runner/recovery.py", "    money.book_again(tools, record)\n", ""),),
        Case("day's budget", Fault("money.of_task", "kill")),
        "I10",
    ),
    Mutant(
        "init writes its files in place",
        (
            (
                "commands/project.py",
                '            with failpoints.around("project"):\n                os.link(made, path, follow_symlinks=False)\n',
                '            open(path, "x").close()\n'
                '            with failpoints.around("project"):\n                os.replace(made, path)\n',
            ),
        ),
        Case("init", Fault("project.before", "kill")),
        "init",
    ),
    Mutant(
        "an interrupted pm.add is begun anew",
        (("board/client.py", "if take_up else None", "if False else None"),),
        Case("pm.add", Fault("board.before", "kill", 5)),
        "pm.add",
    ),
    Mutant(
        "half a restored file stays where it is",
        (("worktree/restore.py", "        files.drop_half(directory, path)\n", "        pass\n"),),
        Case("worktree.restore", Fault("place.before", "kill")),
        "I9",
    ),
)

NO_READ_BACK = Mutant(
    "the board's lock is believed without reading it back",
    (
        (
            "board/lease.py",
            "    if task.locked_by != lease.agent_id:\n        return False\n",
            "    return True\n",
        ),
        ("board/lease.py", "    if now.locked_by != agent_id:\n", "    if False:\n"),
        ("runner/toolbox.py", "            self.heartbeat.start()\n", "            pass\n"),
    ),
    Case("maker major"),
    "I1",
)
"""Caught by the contest in test_exclusion. The first heartbeat would be a third net: it is taken away too."""

NO_LOCAL_GUARD = Mutant(
    "what other runners of this host are doing is not looked at",
    (
        ("runner/orphans.py", "    for view in all_records(tools.state):\n", "    for view in []:\n"),
        (
            "state/guard.py",
            "def held_by_other(",
            "def held_by_other(*_: object) -> bool:\n    return False\n\n\ndef _unused(",
        ),
        ("runner/taking.py", "        if not guard.acquire(wait=0.0):\n", "        if False:\n"),
    ),
    Case("maker major"),
    "I1",
)
"""Caught by test_zombies: the board frees the task of a living runner."""
