"""Whether the sandbox can be used, and what it hides."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import CannotCreate
from hpm_tools.executor import sandbox
from hpm_tools.executor.scratch import remove_scratch, scratch_directory, scratch_path

if TYPE_CHECKING:
    from pathlib import Path


def leave(path: Path, content: str = "", mode: int = 0o444) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_fifo_in_the_pointers_place_does_not_hold_up_the_runner(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".git")
    assert sandbox.unwritable(tmp_path) == [tmp_path / ".git"]


def test_what_a_shell_must_not_read(tmp_path: Path) -> None:
    home, cwd = tmp_path / "home-of-u", tmp_path / "repo" / ".worktrees" / "task-1"
    cwd.mkdir(parents=True)
    hidden = {
        leave(path)
        for path in (cwd / ".env", tmp_path / "repo" / ".env", home / ".netrc", home / ".ssh" / "id")
    }
    hidden.add(leave(home / ".invoke.yaml", "hpm: {api_key: secret}\n"))
    leave(home / ".invoke.py", "hpm = {'level': 'junior'}\n")
    found = set(sandbox.unreadable(cwd, {"HOME": str(home)}))
    assert found == {path.parent if path.name == "id" else path for path in hidden}


def test_a_bwrap_that_cannot_make_namespaces(tmp_path: Path) -> None:
    for name, body in (("bwrap", "echo 'No permissions to create new namespace' >&2; exit 1"), ("socat", "")):
        leave(tmp_path / name, f"#!/bin/sh\n{body}\n", 0o755)
    reason = sandbox.unavailable({"PATH": str(tmp_path)})
    assert reason == "bwrap cannot make namespaces here: No permissions to create new namespace"
    (tmp_path / "socat").unlink()
    assert sandbox.unavailable({"PATH": str(tmp_path)}) == "socat not found"


def test_a_run_has_a_temporary_directory_of_its_own(tmp_path: Path) -> None:
    environ = {"TMPDIR": "/tmp"}
    run = f"run-{os.getpid()}-{tmp_path.name}"
    with scratch_directory(run, environ) as path:
        assert path == scratch_path(run, environ)
        assert path.stat().st_mode & 0o777 == 0o700
        assert scratch_path("another", environ) != path
        (path / "below").mkdir()
        path.chmod(0o755)
        with pytest.raises(CannotCreate, match="not ours alone"), scratch_directory(run, environ):
            pass
        assert (path / "below").is_dir()
    assert not path.exists()
    remove_scratch(run, environ)


def test_a_long_tmpdir_is_too_long_for_sockets(tmp_path: Path) -> None:
    assert str(scratch_path("r", {"TMPDIR": str(tmp_path / ("x" * 60))})).startswith("/tmp/hpm-")
