#!/usr/bin/env python3
"""Is this machine fit for a task? Disk space, git, and the agent's program.

A hook of hpm-tools that also runs alone: ``echo '{}' | python hooks/pre_task.py``. It reads one JSON
object on stdin and prints one line per check; the exit code is 0 unless a check failed. Warnings do not
count. Fields it knows: ``repo`` and ``worktree_path`` (directories of the task; default: the current one),
``executor`` (only ``claude`` needs the CLI), ``cli`` (its path), ``min_disk_gb`` (default 1).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OK, WARN, FAIL = "ok", "warn", "fail"
Line = tuple[str, str]

MIN_DISK_GB = 1.0
MIN_FREE_INODES = 10_000
STALE_LOCK_SECONDS = 600
GIT_SECONDS = 10


def disk(data: dict[str, Any]) -> list[Line]:
    """Space and inodes where the work, the state and the temporary files go, each file system once."""
    needed = _number(data.get("min_disk_gb"), MIN_DISK_GB)
    places = [*_work_places(data), state_home()]
    lines: list[Line] = []
    try:
        places.append(Path(tempfile.gettempdir()))
    except FileNotFoundError:
        lines.append((FAIL, "disk: no temporary directory can be written (TMPDIR, /tmp, /var/tmp)"))
    seen = set()
    for place in map(_existing, places):
        device = place.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(place).free / 2**30
        inodes = os.statvfs(place)
        if free < needed:
            lines.append((FAIL, f"disk: {free:.1f} GiB free at {place}, {needed:g} needed"))
        elif inodes.f_files and inodes.f_favail < MIN_FREE_INODES:
            lines.append((FAIL, f"disk: only {inodes.f_favail} inodes free at {place}"))
        else:
            lines.append((OK, f"disk: {free:.1f} GiB free at {place}"))
    return lines


def git(data: dict[str, Any]) -> list[Line]:
    """git runs, and the repositories named in the data can be worked in."""
    if shutil.which("git") is None:
        return [(FAIL, "git: not on the PATH")]
    named = [Path(str(data[key])) for key in ("repo", "worktree_path") if data.get(key)]
    lines = [_repository(place) for place in dict.fromkeys(named)]
    if lines:
        return lines
    answer = _git("--version")
    return [(OK, f"git: {answer.removeprefix('git ')}") if answer else (FAIL, "git: does not run")]


def _repository(place: Path) -> Line:
    if not place.is_dir():
        return FAIL, f"git: {place} does not exist"
    answer = _git("-C", str(place), "rev-parse", "--absolute-git-dir", "--is-inside-work-tree")
    git_dir, _, inside = (answer or "").partition("\n")
    if inside != "true":
        return FAIL, f"git: {place} is no work tree of a repository that git accepts"
    if not os.access(git_dir, os.W_OK):
        return FAIL, f"git: {git_dir} cannot be written"
    lock = Path(git_dir, "index.lock")
    try:
        age = time.time() - lock.stat().st_mtime
    except OSError:
        return OK, f"git: {place} is usable"
    if age > STALE_LOCK_SECONDS:
        return WARN, f"git: {lock} is {age / 60:.0f} min old and blocks commits; is its process gone?"
    return OK, f"git: {place} is usable, a git command is at work in it"


def _git(*arguments: str) -> str | None:
    """What git answers, None if it fails; nothing that a repository configures is executed."""
    safe = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-optional-locks")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", *safe, *arguments],
            env=environment | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.decode(errors="replace").strip() if answer.returncode == 0 else None


def agent_cli(data: dict[str, Any]) -> list[Line]:
    """The Claude CLI is there and executable; it is not started, which would cost seconds."""
    if data.get("executor", "claude") != "claude":
        return [(OK, f"agent: executor {data['executor']!r}, the Claude CLI is not needed")]
    named = data.get("cli") or os.environ.get("HEADLESS_PM_CLAUDE_PATH")
    if named:
        usable = shutil.which(os.path.expanduser(str(named)))
        return [(OK, f"agent: {usable}") if usable else (FAIL, f"agent: {named} is no executable file")]
    for candidate in (*_usual(), _bundled()):
        found = shutil.which(candidate) if candidate else None
        if found:
            return [(OK, f"agent: {found}")]
    return [(FAIL, "agent: the Claude CLI is not on the PATH nor in its usual places")]


def _usual() -> list[str]:
    """Where the runner looks for it; alone, without hpm-tools, where Anthropic's installers put it."""
    try:
        from hpm_tools.executor.cli_places import candidates
    except ImportError:
        home = Path.home()
        return [
            "claude",
            str(home / ".claude/local/claude"),
            str(home / ".local/bin/claude"),
            "/usr/local/bin/claude",
        ]
    return list(map(str, candidates("claude", os.environ)))


def _bundled() -> str:
    """The CLI inside the claude-agent-sdk package, found without importing it."""
    for directory in sys.path:
        candidate = Path(directory or ".", "claude_agent_sdk", "_bundled", "claude")
        if candidate.is_file():
            return str(candidate)
    return ""


def state_home() -> Path:
    """Where hpm-tools keeps its state."""
    named = os.environ.get("HEADLESS_PM_HOME")
    return Path(named).expanduser() if named else Path.home() / ".headless-pm"


def _work_places(data: dict[str, Any]) -> list[Path]:
    return [Path(str(data[key])) for key in ("repo", "worktree_path") if data.get(key)] or [Path.cwd()]


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) else default


def read_data() -> dict[str, Any]:
    """The JSON object on stdin; {} if there is none or a person sits at the keyboard."""
    text = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    try:
        data = json.loads(text) if text.strip() else {}
    except ValueError as error:
        sys.exit(f"stdin is not JSON: {error}")
    return data if isinstance(data, dict) else sys.exit("stdin is not a JSON object")


def report(lines: list[Line]) -> int:
    """Print the lines; 1 if any of them is a failure."""
    for state, text in lines:
        print(f"{state:4} {text}")
    return int(any(state == FAIL for state, _ in lines))


def main() -> int:
    data = read_data()
    return report([*disk(data), *git(data), *agent_cli(data)])


if __name__ == "__main__":
    sys.exit(main())
