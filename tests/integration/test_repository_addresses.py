"""Addresses that a repository's files name: the runner's own git contacts none of them."""

from __future__ import annotations

import os
import select
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:away\nsize 1\n"
LFS = """#!{python} -IS
# As git-lfs: to make a large file it asks the server that .lfsconfig names, unless it is told not to.
import os, re, socket, sys
pointer = sys.stdin.buffer.read()
if sys.argv[1] == "smudge" and os.environ.get("GIT_LFS_SKIP_SMUDGE") != "1":
    text = open(os.path.join({root!r}, ".lfsconfig"), encoding="utf-8").read()
    socket.create_connection(("127.0.0.1", int(re.search(r"127.0.0.1:(\\d+)", text)[1]))).close()
sys.stdout.buffer.write(pointer)
"""


class Listener:
    """A server on loopback; ``contacted`` once anybody has connected."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/"

    @property
    def contacted(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.socket.close()


def commit_large_file(desk: Desk, repo: Repo, listener: Listener, tmp_path: Path) -> None:
    """What `git lfs install --local` and `git lfs track` make, and a server named for the file's content."""
    program = tmp_path / "bin" / "git-lfs"
    program.parent.mkdir()
    program.write_text(LFS.format(python=sys.executable, root=str(repo.root)), encoding="utf-8")
    program.chmod(0o755)
    desk.more = {"PATH": f"{program.parent}{os.pathsep}{desk.environment['PATH']}"}
    url = f"[lfs]\n\turl = {listener.url}\n"
    repo.write({".gitattributes": "*.bin filter=lfs\n", ".lfsconfig": url, "big.bin": POINTER})
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "a large file")
    repo.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
    repo.git("config", "filter.lfs.smudge", "git-lfs smudge -- %f")


@pytest.mark.fault("F9")
def test_a_tasks_worktree_is_made_without_the_server_of_lfsconfig(
    desk: Desk, repo: Repo, listener: Listener, tmp_path: Path
) -> None:
    commit_large_file(desk, repo, listener, tmp_path)
    acts = script({"run": ["cp", "big.bin", "seen.txt"]})
    task = desk.board.add_task(complexity="major", description=acts)
    done = desk.run_single()
    assert (done.returncode, desk.board.task(task["id"])["status"]) == (0, "dev_done"), done.stderr
    assert not listener.contacted


@pytest.mark.fault("F9")
def test_a_checkout_is_put_back_without_the_server_of_lfsconfig(
    desk: Desk, repo: Repo, listener: Listener, tmp_path: Path
) -> None:
    commit_large_file(desk, repo, listener, tmp_path)
    outcome = {"status": "blocked", "summary": "cannot"}
    acts = script({"run": ["rm", "big.bin"]}, outcome=outcome)
    desk.board.add_task(complexity="minor", description=acts)
    desk.run_single()
    assert (repo.root / "big.bin").read_text(encoding="utf-8") == POINTER
    assert not listener.contacted


@pytest.mark.fault("F9")
def test_a_worktree_made_by_hand_needs_no_server_either(
    desk: Desk, repo: Repo, listener: Listener, tmp_path: Path
) -> None:
    commit_large_file(desk, repo, listener, tmp_path)
    done = desk.hpm("worktree.add", "--task-id", 5)
    assert done.returncode == 0, done.stderr
    assert not listener.contacted


def test_objects_of_a_partial_clone_are_not_fetched(
    desk: Desk, repo: Repo, listener: Listener, tmp_path: Path
) -> None:
    repo.git("config", "uploadpack.allowFilter", "true")
    clone = Repo(tmp_path / "clone")
    repo.git("clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repo.root}", str(clone.root))
    clone.git("remote", "set-url", "origin", listener.url)
    done = desk.hpm("worktree.add", "--task-id", 5, "--repo", str(clone.root))
    assert done.returncode != 0
    assert not listener.contacted


def test_submodules_are_not_fetched(desk: Desk, repo: Repo, listener: Listener) -> None:
    head = repo.git("rev-parse", "HEAD")
    repo.write(
        {".gitmodules": f'[submodule "lib"]\n\tpath = lib\n\turl = {listener.url}lib\n\tupdate = checkout\n'}
    )
    repo.git("add", ".gitmodules")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{head},lib")
    repo.git("commit", "-q", "-m", "a submodule")
    repo.git("config", "submodule.lib.url", f"{listener.url}lib")
    repo.git("config", "submodule.recurse", "true")
    task = desk.board.add_task(complexity="major", description=script({"write": ["a.txt", "a"]}))
    desk.run_single()
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert not listener.contacted
