"""Faults of places: full disks, an agent's program that is away, worktrees that are gone or somebody else's."""

from __future__ import annotations

import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

from tests.support import disks
from tests.worlds.declared import Register, Unavailable
from tests.worlds.fault_board import task_of
from tests.worlds.fault_processes import AT_WORK

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.worlds.site import Runner, Site

PLACES: Register[..., None] = Register("fault")


def small_disks(site: Site) -> None:
    """Give state and temporary files disks of their own, so that they can be full."""
    for place in (site.state, site.temporary):
        if place not in site.disks:
            site.mount(place, 8 << 20)
            site.disks.append(place)


def repository_on_disk(site: Site) -> None:
    """Give the repository a disk of its own."""
    if site.repo not in site.disks:
        site.mount(site.repo, 64 << 20)
        site.disks.append(site.repo)


@PLACES.declare(
    draw=lambda chance: {"leave": chance.choice((0, 0, 8192, 65536))},
    rows=("D11",),
    prepare=repository_on_disk,
    moments=AT_WORK,
)
def repository_full(site: Site, runner: Runner | None, leave: int) -> None:
    """The disk with the repository is full for a while."""
    if site.repo not in site.disks:
        raise Unavailable("no disk of one's own")
    ballast = site.repo / ".git" / "ballast"
    site.passing.append(lambda: make_room(site, ballast))
    disks.fill(ballast, leave)


def make_room(site: Site, ballast: Path) -> None:
    """The disk has room again, and what git could not write to its end is gone, as after two weeks (git-gc(1))."""
    ballast.unlink(missing_ok=True)
    for path in (site.repo / ".git" / "objects").glob("*/tmp_*"):
        path.unlink(missing_ok=True)


def a_full_place(chance: Random) -> dict[str, Any]:
    return {"place": chance.choice(("state", "temporary")), "leave": chance.choice((0, 0, 8192))}


@PLACES.declare(draw=a_full_place, rows=("D11",), prepare=small_disks, moments=("before", *AT_WORK))
def place_full(site: Site, runner: Runner | None, place: str, leave: int) -> None:
    """The disk with the state, or that with temporary files, is full for a while."""
    where: Path = site.state if place == "state" else site.temporary
    if where not in site.disks:
        raise Unavailable("no disk of one's own")
    ballast = where / ".ballast"
    site.passing.append(lambda: ballast.unlink(missing_ok=True))
    disks.fill(ballast, leave)


def program_of_ones_own(site: Site) -> None:
    """Let the agent's program be a file of this site, so that it can be away."""
    from tests.worlds.site import AGENT

    program = site.directory / "bin" / "agent"
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        words = shlex.join([sys.executable, "-S", str(AGENT)])
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        site.settings["executor_command"] = [str(program)]


@PLACES.declare(rows=("D8",), prepare=program_of_ones_own, moments=("before", *AT_WORK))
def program_away(site: Site, runner: Runner | None) -> None:
    """The agent's program is away for a while, as when it updates itself."""
    program = site.directory / "bin" / "agent"
    if not program.exists():
        raise Unavailable("it is away already")
    aside = program.with_name("agent.new")
    program.rename(aside)
    site.passing.append(lambda: bring_back(aside, program))


def bring_back(aside: Path, program: Path) -> None:
    aside.rename(program)


def a_worktree(site: Site, runner: Runner | None) -> Path:
    return site.repo / ".worktrees" / f"task-{task_of(site, runner)}"


@PLACES.declare(rows=("F11",), moments=("before", "between"))
def place_taken(site: Site, runner: Runner | None) -> None:
    """A directory of somebody stands where the task's worktree is to be."""
    place = a_worktree(site, runner)
    if place.exists():
        raise Unavailable("the worktree is there")
    with site.by_hand("somebody", place):
        place.mkdir(parents=True)
        (place / "letter.txt").write_text("somebody's letter\n", encoding="utf-8")


@PLACES.declare(rows=("F11",), moments=(*AT_WORK, "between"))
def worktree_deleted(site: Site, runner: Runner | None) -> None:
    """Somebody deletes a worktree's directory."""
    place = a_worktree(site, runner)
    if not place.is_dir():
        raise Unavailable("there is no worktree")
    with site.by_hand("somebody", place):
        shutil.rmtree(place, ignore_errors=True)


@PLACES.declare(rows=("A4",), moments=("before", *AT_WORK))
def twin_runs(site: Site, runner: Runner | None) -> None:
    """A runner with the same agent id runs on another host, with a state directory and a clone of its own."""
    agent = runner.agent if runner else next(iter(site.agents))
    state, clone = site.directory / "twin-state", site.directory / "twin-repo"
    if state.exists():
        raise Unavailable("it runs already")
    state.mkdir(mode=0o700)
    shutil.copy2(site.state / "config.yaml", state)
    site.plain_git("clone", "--quiet", str(site.repo), str(clone))
    # Its ledger is never closed: whatever becomes of that host's places is its own affair.
    site.person("somebody", state, clone).begin("works there")
    site.launch(
        agent, site.agents[agent], cwd=clone, known_as="a twin", extra={"HEADLESS_PM_HOME": str(state)}
    )
