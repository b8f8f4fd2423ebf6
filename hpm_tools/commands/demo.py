"""`demo`: see the main job done before trusting a repository to it."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.errors import CannotCreate
from hpm_tools.registry import Arg, Result, command
from hpm_tools.trees import delete_tree

if TYPE_CHECKING:
    from hpm_tools.commands.results import Demo
    from hpm_tools.ui import TerminalUI


@command(
    "demo",
    example="hpm demo --keep /tmp/hpm-demo",
    args={
        "agent": Arg(
            "scripted: no account needed; claude: your own Claude does the work",
            choices=("scripted", "claude"),
        ),
        "keep": Arg("a new directory in which everything stays to be looked at", metavar="DIR"),
    },
)
def demo(ui: TerminalUI, *, agent: str = "scripted", keep: str | None = None) -> Result[Demo]:
    """Work three tasks on a throwaway repository and board.

    There are a developer, a tester and real git. Ends with a table of what became of the tasks. Nothing stays
    running, and without --keep no file either.
    """
    from hpm_tools.demo.scene import play
    from hpm_tools.runner.stop import Stop
    from hpm_tools.text import table

    directory = _directory(keep)
    began = time.monotonic()
    if agent == "claude":
        ui.note("Your own Claude is used, with your login: this costs money.")
    ui.progress("the demo runs")
    try:
        with Stop().installed() as stop:
            rows = play(directory, agent, ui.note, check_stop=stop.check)
    finally:
        if keep is None:
            with suppress(OSError):
                # no failpoint: a throwaway place of one command
                delete_tree(directory)
    seconds = round(time.monotonic() - began, 1)
    text = table(
        [(row.id, row.title, row.status, row.branch, row.commit[:10], f"{row.seconds:.1f}") for row in rows],
        ("TASK", "TITLE", "STATUS", "BRANCH", "COMMIT", "SECONDS"),
        ui.columns,
    )
    good = all(row.as_wanted for row in rows)
    data: Demo = {
        "tasks": rows,
        "seconds": seconds,
        "kept": str(directory) if keep else None,
    }
    return Result(data, f"{text}\n{_where_next(directory, keep)}", 0 if good else 1)


# no failpoint: a throwaway place of one command
def _directory(keep: str | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="hpm-demo-")).resolve()
    path = Path(keep).absolute()
    try:
        path.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        if any(path.iterdir()):
            raise CannotCreate(f"{path} exists and is not empty", "name a new directory") from None
    except OSError as error:
        raise CannotCreate(f"cannot make {path}: {error.strerror}") from None
    return path


def _where_next(directory: Path, keep: str | None) -> str:
    program = _program()
    look = (
        f"Look at the work: git -C {directory / 'repo'} log --oneline --all"
        if keep
        else f"Keep everything to look at it: {program} demo --keep DIR"
    )
    return f"\n{look}\nDo the same with your repository and board: {program} run --help"


def _program() -> str:
    """`hpm` as it can be typed here: the first ./inv demo in a checkout leaves it off PATH."""
    beside = Path(sys.executable).with_name("hpm")
    return "hpm" if shutil.which("hpm") or not beside.exists() else shlex.quote(str(beside))
