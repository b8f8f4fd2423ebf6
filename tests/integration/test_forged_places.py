"""Records that cannot be true: of another place, another task, or of what was never written. Nothing is done there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_forged_records import RUN, killed, row, seldom
from tests.support.repos import make_repo
from tests.support.runners import script

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.runners import Desk

ASIDE = "it is kept as "


@dataclass(frozen=True)
class Forged:
    """``place`` makes somewhere else, which must stay as it is; ``fields`` are written over those of the record."""

    name: str
    fields: dict[str, Any]
    place: Callable[[Desk], Path] | None = None

    def __str__(self) -> str:
        return self.name


def outside(desk: Desk) -> Path:
    path = desk.directory / "outside"
    path.mkdir()
    (path / "mine.txt").write_text("a person's\n", encoding="utf-8")
    return path


def link(desk: Desk) -> Path:
    path = desk.directory / "link"
    path.symlink_to(outside(desk))
    return path


def other_repository(desk: Desk) -> Path:
    return make_repo(desk.directory / "other").root


def other_task(desk: Desk) -> Path:
    """The worktree of another task, whose runner was killed."""
    number = desk.board.add_task(description=script(), complexity="major")["id"]
    desk.hpm(*RUN[:-1], "dev_009", HPM_FAILPOINT="agent.starting:kill")
    return desk.repo / ".worktrees" / f"task-{number}"


BOTH = {"worktree_path": "{place}", "checkout": "{place}"}
STEPS = {
    "working": {},
    "committing": {"step": "committing", "ending": {"kind": "parked", "reason": "x"}},
    "cleaning": {"step": "cleaning", "ending": {"kind": "parked", "reason": "x"}},
}
PLACES: dict[str, Callable[[Desk], Path]] = {
    "home": lambda desk: desk.home,
    "outside": outside,
    "link": link,
    "other repository": other_repository,
    "other task": other_task,
    "root": lambda _: Path("/"),
    "checkout": lambda desk: desk.repo,
    "file": lambda desk: desk.repo / "README.md",
    "gone": lambda desk: desk.directory / "gone",
    "relative": lambda _: Path(".worktrees/task-1"),
    "state": lambda desk: desk.state,
    "git": lambda desk: desk.repo / ".git",
}
QUICK = {
    "home in both at working",
    "outside in worktree_path at cleaning",
    "other task in both at working",
    "link in checkout at committing",
    "another task's id",
    "largest count",
}
FIELDS: dict[str, dict[str, Any]] = {
    "salvage": {"salvage": "refs/heads/main"},
    "salvage of another task": {"salvage": "refs/hpm/salvage/dev_001/99/20260101T000000Z"},
    "salvage that is no text": {"salvage": ["refs/hpm/salvage/dev_001/1/x"]},
    "snapshot": {"snapshot": {"run_id": "x"}},
    "another task's data": {"task_data": {"id": 99, "title": "x", "created_at": "2026-01-01T00:00:00"}},
    "another task's id": {"task_id": 99},
    "status that is none": {"board_status_before": "lost"},
    "time that is none": {"board_locked_at": "yesteday"},
    "count of runs in words": {"agent_runs": "many"},
    "largest count": {"agent_runs": 10**30},
    "year 9999": {"taken_at": 253402300799},
    "cost before in words": {"cost_before": "free"},
    "no place": {"checkout": None},
    "list of lists": {"strays": [["x"]]},
}
CASES = (("both", "working"), ("worktree_path", "cleaning"), ("checkout", "committing"))
FORGED = [
    Forged(f"{name} in {where} at {step}", {**STEPS[step], **claim}, place)
    for name, place in PLACES.items()
    for where, step in CASES
    for claim in [BOTH if where == "both" else {where: "{place}"}]
] + [Forged(name, claim) for name, claim in FIELDS.items()]


@pytest.mark.fault("B12")
@pytest.mark.parametrize("forged", [one for one in FORGED if one.name in QUICK], ids=str)
def test_record_that_cannot_be_true_is_set_aside_and_its_task_worked_again(
    desk: Desk, forged: Forged
) -> None:
    """Most of them ended every start with an error, and the task stayed locked."""
    start_again(desk, forged)


@pytest.mark.extended
@pytest.mark.parametrize("forged", [one for one in FORGED if one.name not in QUICK], ids=str)
def test_other_record_that_cannot_be_true_is_set_aside_too(desk: Desk, forged: Forged) -> None:
    start_again(desk, forged)


def start_again(desk: Desk, forged: Forged) -> None:
    task = killed(desk)
    place = forged.place(desk) if forged.place is not None else desk.directory
    write(desk, {name: place_in(value, place) for name, value in forged.fields.items()})
    before = contents(desk, place)
    done = desk.hpm(*RUN)
    assert contents(desk, place) == before
    assert (row(desk, task), ASIDE in done.stderr) == (("dev_done", None), True), done.stderr


@pytest.mark.parametrize(
    "change", [seldom(": > {record}"), "sed -i 's#{repo}/.worktrees/task-1#{outside}#' {record}"]
)
def test_record_that_an_agent_changes_at_work_goes_on_as_its_runner_wrote_it(desk: Desk, change: str) -> None:
    record = desk.state / "locks" / "agent-dev_001.lock"
    forging = change.format(record=record, repo=desk.repo, outside=outside(desk))
    done = 'echo hello > a.txt; echo \'{"status": "done", "summary": "x"}\' > "$HPM_OUTCOME_FILE"'
    desk.change(executor_command=["sh", "-c", f"{forging}; {done}"])
    task = desk.board.add_task(complexity="major")["id"]
    ran = desk.hpm(*RUN)
    there = set(contents(desk, desk.directory / "outside"))
    assert (row(desk, task), there) == (
        ("dev_done", None),
        {str(desk.directory / "outside" / "mine.txt")},
    ), ran.stderr


def test_task_that_the_board_has_locked_for_us_is_named_when_the_record_names_another(desk: Desk) -> None:
    task = killed(desk, "pre_hook.before")
    other = desk.board.add_task(complexity="major")
    write(desk, {"task_id": other["id"], "created_at": other["created_at"], "task_data": other})
    ran = desk.hpm(*RUN)
    assert f"the board says that dev_001 holds task {task}" in ran.stderr


def place_in(value: Any, place: Path) -> Any:
    return str(place) if value == "{place}" else value


def write(desk: Desk, claims: dict[str, Any]) -> None:
    record = desk.record()
    assert record is not None
    path = desk.state / "locks" / "agent-dev_001.lock"
    path.write_text(json.dumps({**record, **claims}), encoding="utf-8")


def contents(desk: Desk, place: Path) -> dict[str, bytes]:
    """The files of ``place``, where it is nobody's of this run."""
    if place in (Path("/"), desk.repo, desk.state, desk.directory, desk.repo / ".git") or not place.is_dir():
        return {}
    return {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
