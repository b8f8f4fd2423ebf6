"""Tasks whose agents do what a shell script says, for tests of where work is and what git shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.runners import Desk


def shell(*lines: str) -> dict[str, list[str]]:
    """The act of an agent that runs ``lines``, and fails with the first that does."""
    return {"run": ["sh", "-ec", "\n".join(lines)]}


def work(desk: Desk, *lines: str, complexity: str = "major", **outcome: object) -> tuple[str, str]:
    """The status and the notes of a task whose agent does ``lines``, with the main checkout as $main, and says done."""
    act = shell(f"main='{desk.repo}'", *lines)
    said = {"status": "done", "summary": "did as told", **outcome}
    task = desk.board.add_task(description=script(act, outcome=said), complexity=complexity)
    done = desk.run_single()
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    row = desk.board.task(task["id"])
    return str(row["status"]), str(row["notes"])


def salvaged(desk: Desk) -> str:
    """All that the salvage refs hold, as text."""
    listed = desk.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage").split()
    return "\n".join(desk.git("grep", "-h", "", ref) for ref in listed)
