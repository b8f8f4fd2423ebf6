"""Faults of the state directory: records, guards and logs that are damaged, forged, lost or of another machine."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from tests.worlds.declared import Register, Unavailable
from tests.worlds.fault_processes import end_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from tests.worlds.site import Runner, Site

STATE: Register[..., None] = Register("fault")
LATER = ("meet", "point", "between")
"""The moments at which there can be a record."""

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "binary": lambda data: bytes(range(256)),
    "list": lambda data: b"[1, 2]",
    "trailing": lambda data: data + b"}",
}
FIELDS = ("agent_runs", "attempt", "ending", "verdict", "step", "tampering", "child", "snapshot", "worktree_path",
          "branch_name", "base", "repo", "run_id", "task_data", "in_place", "taken_at", "around", "work")  # fmt: skip
VALUES = ("many", 5, {"kind": "x"}, [None], True, "\0", "nonsense")
ENDING = {"kind": "reported", "reason": "all done", "status": "dev_done"}
VERDICT = {"kind": "done", "summary": "all done"}


def records(site: Site, runner: Runner | None) -> list[Path]:
    """The record of the runner, which is killed if it lives, or of all that are dead."""
    if runner is not None and runner.code is None:
        runner.kill()
    found = sorted((site.state / "locks").glob("agent-*.lock"))
    own = [path for path in found if runner and path.name == f"agent-{runner.agent}.lock"]
    living = {f"agent-{other.agent}.lock" for other in site.launched if other.code is None}
    chosen = own or [path for path in found if path.name not in living]
    if not chosen:
        raise Unavailable("no record is there")
    return chosen


def rewrite(site: Site, runner: Runner | None, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the fields of the records; of those that can be read."""
    for path in records(site, runner):
        try:
            fields = json.loads(path.read_bytes())
        except ValueError:
            continue
        if isinstance(fields, dict):
            path.write_text(json.dumps({**fields, **change(fields)}), encoding="utf-8")


def a_damage(chance: Random) -> dict[str, Any]:
    return {"how": chance.choice(sorted(DAMAGE))}


@STATE.declare(draw=a_damage, moments=LATER, weight=2.0)
def record_damaged(site: Site, runner: Runner | None, how: str) -> None:
    """The runner is killed, and its record is damaged."""
    for path in records(site, runner):
        path.write_bytes(DAMAGE[how](path.read_bytes()))


def a_field(chance: Random) -> dict[str, Any]:
    return {"field": chance.choice(FIELDS), "value": chance.choice(VALUES)}


@STATE.declare(draw=a_field, rows=("D1",), moments=LATER, weight=2.0)
def record_mistyped(site: Site, runner: Runner | None, field: str, value: Any) -> None:
    """The runner is killed, and a field of its record holds what it never holds."""
    rewrite(site, runner, lambda _: {field: value})


@STATE.declare(moments=LATER, weight=0.5)
def record_newer(site: Site, runner: Runner | None) -> None:
    """The runner is killed, and its record is of a newer version, which a person installs again when told."""
    rewrite(site, runner, lambda _: {"schema": 999})
    site.repairs["the newer version"] = lambda: older_again(site)


def older_again(site: Site) -> None:
    for path in (site.state / "locks").glob("agent-*.lock"):
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        path.write_text(text.replace('"schema": 999', '"schema": 1'), encoding="utf-8")


def a_forgery(chance: Random) -> dict[str, Any]:
    return {"step": chance.choice(("working", "committing", "detaching", "reporting", "post_hook"))}


@STATE.declare(draw=a_forgery, rows=("B12",), moments=LATER, weight=2.0)
def record_forged(site: Site, runner: Runner | None, step: str) -> None:
    """The runner is killed, and its record says that the task is done."""
    ending = None if step == "working" else ENDING
    rewrite(
        site,
        runner,
        lambda fields: {"step": step, "ending": ending, "verdict": VERDICT, "commit": fields.get("base")},
    )


def another_machine(chance: Random) -> dict[str, Any]:
    return {"boot": chance.random() < 0.7, "host": chance.random() < 0.6, "machine": chance.random() < 0.3}


@STATE.declare(draw=another_machine, rows=("E2",), moments=LATER, weight=2.0)
def container_made_anew(site: Site, runner: Runner | None, boot: bool, host: bool, machine: bool) -> None:
    """The container dies with all that is in it, and the next one has the same volumes and another name or boot."""
    for other in site.launched:
        if other.code is None:
            other.kill()
    end_all(site)
    change: dict[str, Any] = {"pid_ns": "pid:[1]"}
    if boot:
        change["boot_id"] = "00000000-0000-4000-8000-000000000000"
    if host:
        change["host"] = "c0ffee"
    if machine:
        change["machine"] = "0" * 32
    rewrite(site, runner, lambda _: change)


def a_replacement(chance: Random) -> dict[str, Any]:
    return {"kind": chance.choice(("hard link", "symbolic link", "FIFO", "directory"))}


@STATE.declare(draw=a_replacement, rows=("F7",))
def guard_replaced(site: Site, runner: Runner | None, kind: str) -> None:
    """Something else stands in the place of the agent's guard; the next commands are refused until it goes."""
    agent = runner.agent if runner else next(iter(site.agents))
    locks, target = site.state / "locks", site.elsewhere / "letter.txt"
    locks.mkdir(mode=0o700, exist_ok=True)
    guard = locks / f"agent-{agent}.guard"
    remove(guard)
    if kind == "hard link":
        os.link(target, guard)
    elif kind == "symbolic link":
        guard.symlink_to(target)
    elif kind == "FIFO":
        os.mkfifo(guard, 0o600)
    else:
        guard.mkdir(mode=0o700)
    site.repairs["what stood in a guard's place"] = lambda: remove_odd(locks)


def remove_odd(locks: Path) -> None:
    for path in locks.glob("*.guard"):
        if path.is_symlink() or not path.is_file() or path.stat().st_nlink > 1:
            remove(path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def a_log(chance: Random) -> dict[str, Any]:
    parts = (
        "tasks/*.json",
        "limits/*",
        "seen/*",
        "before/*",
        "spending/*",
        "outbox.json",
        "events.sqlite",
        "trust/*",
    )
    return {"files": chance.choice(parts), "how": chance.choice(sorted(DAMAGE))}


@STATE.declare(draw=a_log, weight=2.0)
def state_damaged(site: Site, runner: Runner | None, files: str, how: str) -> None:
    """Other files of the state directory are damaged."""
    found = [path for path in site.state.glob(files) if path.is_file() and not path.name.endswith(".guard")]
    if not found:
        raise Unavailable(f"nothing is in {files}")
    for path in found:
        path.write_bytes(DAMAGE[how](path.read_bytes()))


@STATE.declare(rows=("A3",), moments=LATER)
def state_lost(site: Site, runner: Runner | None) -> None:
    """The host dies, and comes back with its repository but without its state, settings and approvals apart."""
    for other in site.launched:
        if other.code is None:
            other.kill()
    end_all(site)
    for path in site.state.iterdir():
        if path.name not in ("config.yaml", "trust"):
            remove(path)


@STATE.declare()
def from_the_future(site: Site, runner: Runner | None) -> None:
    """Files of the state directory and the checkout are of tomorrow: the clock was set back."""
    tomorrow = time.time() + 86_400
    for top in (site.state, site.repo):
        for path in top.rglob("*"):
            if path.is_file() and not path.is_symlink():
                os.utime(path, (tomorrow, tomorrow))
