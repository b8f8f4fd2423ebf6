"""Promises broken on purpose, to show that the campaign can fail: each names the case that catches it.

A mutant is a copy of the package with a few functions changed, run instead of it; nothing in the package
itself knows of this.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.campaign.bench import Fault
from tests.campaign.cases import Case
from tests.campaign.edits import Condition, Edit, First, Statement, Value, apply
from tests.campaign.points import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """A promise broken by ``edits``; ``invariant`` objects in ``case``."""

    name: str
    edits: Sequence[Edit]
    case: Case
    invariant: str


def make(mutant: Mutant, directory: Path) -> Path:
    """A directory to put first on PYTHONPATH; AssertionError if the package no longer has what is to change."""
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, directory / PACKAGE.name, ignore=skipped)
    shutil.copytree(PACKAGE.parent / "hooks", directory / "hooks", ignore=skipped)
    apply(mutant.edits, directory / PACKAGE.name)
    return directory


MUTANTS = (
    Mutant(
        "a worktree is removed without salvage",
        [Edit("keep_all", Condition(True, test=["files", "commits", "worked_on"]))],
        Case("ignored files"),
        "I2",
    ),
    Mutant(
        "exit code 0 is believed",
        [
            Edit("_finished", Condition(True, test=["qa", "changed"])),
            Edit("with_evidence", First("return ending, {}")),
        ],
        Case("nothing done"),
        "I4",
    ),
    Mutant(
        "a report is made without its evidence",
        [
            Edit("_keep_work", Condition(False, test=["keeps"])),
            Edit("_keep_work", Condition(False, test=["clean", "dirty"])),
        ],
        Case("maker major"),
        "I4",
    ),
    Mutant(
        "what was told is told again after a restart",
        [
            Edit("_leave", Condition(False, test=["_ours"])),
            Edit("_leave", Condition(False, test=["status_before"])),
        ],
        Case("maker major", Fault("lease.left", "kill")),
        "I4",
    ),
    Mutant(
        "the orphan of a dead runner is left alone",
        [Edit("end_run", First("return []"))],
        Case("resumed"),
        "I1",
    ),
    Mutant(
        "the heartbeat is forgotten",
        [Edit("Toolbox.begin_heartbeat", Statement("start"))],
        Case("lost lock"),
        "I1",
    ),
    Mutant(
        "the record is cleared before the report",
        [
            Edit(
                "reporting",
                Statement(
                    "_tell_under_lock",
                    "kept = Path(tools.persistence.path).read_bytes()\n"
                    "Path(tools.persistence.path).unlink()\n"
                    "...\n"
                    "Path(tools.persistence.path).write_bytes(kept)",
                ),
            )
        ],
        Case("given back", Fault("lease.unlockable", "kill")),
        "I4",
    ),
    Mutant(
        "placeholders are committed",
        [
            Edit("is_placeholder", First("return False")),
            Edit("remove_placeholders", First("return []")),
        ],
        Case("killed sandbox"),
        "I4",
    ),
    Mutant(
        "a corrupt record means that there was no task",
        [Edit("take_over", Statement("_end_lost_run", "tools.persistence.settle_corrupt()\nreturn None"))],
        Case("corrupt record"),
        "I4",
    ),
    Mutant(
        "records are written in place",
        [
            Edit(
                "atomic_write",
                Statement(
                    "_write_once",
                    'with open(path, "wb") as file:\n'
                    "    file.write(data[: len(data) // 2])\n"
                    "    file.flush()\n"
                    '    failpoints.reach("file.written")\n'
                    "    file.write(data[len(data) // 2 :])",
                ),
            )
        ],
        Case("maker minor", Fault("file.written", "kill", 2)),
        "I8",
    ),
    Mutant(
        "the checkout is cleaned without salvage",
        [
            Edit(
                "salvage",
                First('Git(directory).run("reset", "--hard")\nGit(directory).run("clean", "-fd")'),
            )
        ],
        Case("parked minor"),
        "I2",
    ),
    Mutant(
        "the board's key is in the agent's environment",
        [Edit("CommandExecutor._environment", Value("base_environment", "dict(self.environ)"))],
        Case("maker minor"),
        "I5",
    ),
    Mutant(
        "the board's words go to the terminal as they are",
        [Edit("for_terminal", First("return text"))],
        Case("maker major"),
        "I6",
    ),
    Mutant(
        "a task is given back without under_work",
        [Edit("_leave", Condition(False, branch=["_put", "confirm"]))],
        Case("given back", None, "upstream"),
        "I4",
    ),
    Mutant(
        "what a killed runner booked to the task alone is never booked to the day",
        [Edit("take_over", Statement("book_again"))],
        Case("day's budget", Fault("money.of_task", "kill")),
        "I10",
    ),
    Mutant(
        "init writes its files in place",
        [
            Edit(
                "_write",
                Statement(
                    "around",
                    'open(path, "x").close()\nwith failpoints.around("project"):\n    os.replace(made, path)',
                ),
            )
        ],
        Case("init", Fault("project.before", "kill")),
        "init",
    ),
    Mutant(
        "an interrupted pm.add is begun anew",
        [Edit("Board.create_task", Condition(False, test=["take_up"]))],
        Case("pm.add", Fault("board.before", "kill", 5)),
        "pm.add",
    ),
    Mutant(
        "half a restored file stays where it is",
        [Edit("apply", Statement("drop_half"))],
        Case("worktree.restore", Fault("place.before", "kill")),
        "I9",
    ),
)

NO_READ_BACK = Mutant(
    "the board's lock is believed without reading it back",
    [
        Edit("_ours", First("return True")),
        Edit("take", Condition(False, test=["locked_by", "agent_id"])),
        Edit("Toolbox.begin_heartbeat", Statement("start")),
    ],
    Case("maker major"),
    "I1",
)
"""Caught by the contest in test_exclusion. The first heartbeat would be a third net: it is taken away too."""

NO_LOCAL_GUARD = Mutant(
    "what other runners of this host are doing is not looked at",
    [
        Edit("records_of_others", Value("all_records", "[]")),
        Edit("held_by_other", First("return False")),
        Edit("guard_task", Condition(False, test=["acquire"])),
        Edit("refuse_inhabited", First("return")),
    ],
    Case("maker major"),
    "I1",
)
"""Caught by test_zombies: the board frees the task of a living runner."""
