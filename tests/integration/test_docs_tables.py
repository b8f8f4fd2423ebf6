"""The commands in the tables of README and of the recovery page do what they are there for, run in the state of their row."""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from hpm_tools import registry
from tests.support.board_process import running_board
from tests.support.frontends import PROJECT
from tests.support.messages_endpoint import MessagesEndpoint
from tests.support.newcomer import BOARD_KEY, Newcomer
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLONE = """
git clone -q git@example.com:you/project.git ~/agents/project
hpm init -q --repo ~/agents/project
cd ~/agents/project
hpm pm.register --agent-id dev_001 --role backend_dev --level principal
"""
LOCK = "hpm lock --agent-id dev_001 --task-id 11"


class Row:
    """One row's world. ``words`` is what stands for the placeholders of its commands, ``codes`` their exit codes."""

    def __init__(self, newcomer: Newcomer, stack: ExitStack) -> None:
        self.newcomer = newcomer
        self.stack = stack
        self.board = newcomer.board
        self.state = newcomer.home / ".headless-pm"
        self.words = {"A": "dev_001"}
        self.codes: dict[str, int] = {}
        self.until = ""

    def type(self, text: str, code: int = 0, until: str = "") -> str:
        ended, told = self.newcomer.run(text, until=until)
        assert "Traceback" not in told, told
        assert ended == code, f"exit code {ended}\n{text}\n{told}"
        return told

    def filled(self, command: str) -> str:
        placeholders = "|".join(map(re.escape, self.words))
        return re.sub(rf"(?<!\w)(?:{placeholders})(?!\w)", lambda found: self.words[found[0]], command)


def nothing(row: Row) -> None:
    """The command needs no more than a clone and a board."""


def work_for_qa(row: Row) -> None:
    row.board.add_task("dev_done", title="Add a greeting")


def locked(row: Row) -> None:
    row.type(LOCK)


def salvage(row: Row) -> None:
    told = row.type(
        'place=$(hpm worktree.add -q --task-id 12)\ntouch "$place/notes.txt"\nhpm worktree.remove -q --task-id 12'
    )
    (row.words["REF"],) = told.split()


def service(row: Row) -> None:
    receiver = row.stack.enter_context(Receiver())
    (row.state / "config.yaml").write_text(json.dumps({"notify": {"urls": [receiver.url]}}))
    row.stack.callback((row.state / "config.yaml").unlink)


def any_port(row: Row) -> None:
    """Port 6969 may be somebody's on this machine."""
    row.words["--port 6969"] = "--port 0"
    row.until = "it serves"


def question(row: Row) -> None:
    refusing = row.newcomer.home / "refusing-hooks"
    refusing.mkdir()
    (refusing / "pre_task.sh").write_text("exit 1\n")
    row.board.put(11, row.board.pm(), "created")
    runner = row.stack.enter_context(
        row.newcomer.beside(
            "hpm run --repo ~/agents/project --role backend_dev --agent-id dev_001 --single-task "
            "--on-problem ask --hooks-dir ~/refusing-hooks\n"
        )
    )
    wait_until(
        lambda: [*(row.state / "locks").glob("*.prompt")] or runner.poll() is not None, what="the question"
    )
    row.words["…"] = "release"
    row.stack.callback(lambda: wait_until(lambda: runner.poll() is not None, what="the runner's end"))


def dead_holder(row: Row) -> None:
    row.type(f"bash -c '{LOCK} --owner-pid $$'")


def living_holder(row: Row) -> None:
    row.type(f"{LOCK} --owner-pid {os.getpid()}")


def corrupt_record(row: Row) -> None:
    row.type(LOCK)
    (row.state / "locks" / "agent-dev_001.lock").write_text("{")


def lost_record(row: Row) -> None:
    row.type(LOCK)
    (row.state / "locks" / "agent-dev_001.lock").unlink()


def parked(row: Row) -> None:
    row.type(LOCK)
    row.type(
        """echo '{"kind": "blocked", "summary": "no database"}' | hpm finish --agent-id dev_001 --verdict -""",
        code=1,
    )
    row.type("hpm unlock --agent-id dev_001")
    row.words["N"] = "11"


def cleared_lock(row: Row) -> None:
    row.board.put(12, "dev_001", "under_work")
    row.words["N"] = "12"


def other_host(row: Row) -> None:
    """Its board offers nothing, which spares an agent's run."""
    for task in row.board.ok("GET", "/tasks", status="created"):
        row.board.put(task["id"], row.board.pm(), "pending")
    row.words["…"] = "--repo ~/agents/project --role backend_dev --agent-id dev_001 --single-task"
    row.codes["hpm run … --take-over"] = 3


README: dict[str, Callable[[Row], None]] = {
    "do one task": work_for_qa,
    "add a task": nothing,
    "who holds what": nothing,
    "in figures": nothing,
    "give a task back": locked,
    "set aside": salvage,
    "this machine can work": nothing,
    "be told": service,
    "in shell": nothing,
    "without a server": any_port,
}
RECOVERY: dict[str, Callable[[Row], None]] = {
    "waits for an answer": question,
    "shows a dead holder": dead_holder,
    "by hand": locked,
    "a living holder": living_holder,
    "was corrupt": corrupt_record,
    "begins no task": nothing,
    "parked by": parked,
    "held by nobody": cleared_lock,
    "no record on this host": lost_record,
    "used by somebody else": other_host,
    "salvage refs": salvage,
}
"""What the first cell of a row says, and how that comes about."""


def rows(page: str, heading: str) -> list[tuple[str, list[str]]]:
    """The first cell and the commands of each row that has any, below the heading."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = []
    for line in re.findall(r"^\| .*\|$", section, re.MULTILINE):
        spans = re.findall(r"`((?:invoke|hpm) [^`]+)`", line)
        commands = [span for span in spans if registry.find(span.split()[1])]
        if commands:
            found.append((line.split(" | ")[0], commands))
    return found


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    with (
        running_board(tmp_path, more_keys=(BOARD_KEY,)) as board,
        MessagesEndpoint({"rules": [{}]}) as endpoint,
    ):
        yield Newcomer(tmp_path, board, endpoint, installed=True)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("page", "heading", "states"),
    [
        pytest.param("README.md", "Day to day", README, id="README"),
        pytest.param(
            "docs/operations.md", "Recovery by hand", RECOVERY, id="recovery", marks=pytest.mark.extended
        ),
    ],
)
def test_each_row_of_a_table_does_what_it_says(
    newcomer: Newcomer, page: str, heading: str, states: dict[str, Callable[[Row], None]]
) -> None:
    Row(newcomer, ExitStack()).type(CLONE)
    seen = []
    for title, commands in rows(page, heading):
        (state,) = [said for said in states if said in title]
        seen.append(state)
        with ExitStack() as stack:
            row = Row(newcomer, stack)
            states[state](row)
            for command in commands:
                row.type(row.filled(command), row.codes.get(command, 0), row.until)
    assert seen == [*states]
