"""Repositories as the judge reads them: by their files, so that no configuration or hook of an agent matters.

References and reflogs are read here; only walking from a commit to its objects is git's work, in an empty
repository of our own that borrows the objects.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME = re.compile(r"[0-9a-f]{40}")
NOTHING = "0" * 40
OWN = ("HEAD", "config", "config.worktree", "shallow", "commondir", "gitdir", "objects/info/alternates")
OWN_DIRECTORIES = ("hooks", "info")
NO_TIPS = frozenset({"objects", "refs", "hooks", "hpm", "modules", "info", "lfs"})
"""What names no object that is to be kept, is read otherwise, or is a repository of its own."""

LARGEST = 1 << 20


def directory(top: str) -> str | None:
    """The git directory of the worktree at ``top`` alone; None if there is none."""
    path = os.path.join(top, ".git")
    if os.path.isdir(path):
        return path
    named = _read(path)
    return (
        os.path.join(top, named.removeprefix("gitdir: ").rstrip("\n"))
        if named.startswith("gitdir: ")
        else None
    )


def common_directory(top: str) -> str | None:
    """The git directory that the worktree at ``top`` shares with others; None if there is none."""
    path = directory(top)
    if path is None:
        return None
    common = _read(os.path.join(path, "commondir")).strip()
    path = os.path.realpath(os.path.join(path, common))
    return path if is_git_directory(path) else None


def head(top: str) -> str | None:
    """The commit that is checked out in the worktree at ``top``; None if there is none."""
    path, common = directory(top), common_directory(top)
    if path is None or common is None:
        return None
    found = _read(os.path.join(path, "HEAD")).strip()
    if found.startswith("ref: "):
        found = references(common).get(found.removeprefix("ref: "), "")
    return found if NAME.fullmatch(found) else None


def is_git_directory(path: str) -> bool:
    return os.path.lexists(os.path.join(path, "HEAD")) and os.path.isdir(os.path.join(path, "objects"))


def git_directories(top: str) -> Iterator[str]:
    """Every git directory with objects of its own below ``top``, whatever it is called: submodules' and bare ones, too."""
    for here, folders, _ in os.walk(top):
        if is_git_directory(here):
            yield os.path.realpath(here)
            folders[:] = [name for name in folders if name not in ("objects", "refs", "logs", "hooks")]


def own_files(git_dir: str) -> dict[str, str]:
    """The files by which a repository works, with their content; links with their target."""
    found = {}
    listed = [os.path.join(git_dir, name) for name in OWN]
    for folder in OWN_DIRECTORIES:
        for top, _, files in os.walk(os.path.join(git_dir, folder)):
            listed += [os.path.join(top, name) for name in files]
    for path in listed:
        if os.path.islink(path):
            found[path] = f"-> {os.readlink(path)}"
        elif os.path.lexists(path):
            found[path] = _read(path)
    return found


def references(git_dir: str) -> dict[str, str]:
    """Every reference of the repository itself, and HEAD: a commit, or ``ref: NAME``."""
    found = {}
    for line in _read(os.path.join(git_dir, "packed-refs")).splitlines():
        if NAME.match(line) and line[40:41] == " ":
            found[line[41:]] = line[:40]
    for top, _, files in os.walk(os.path.join(git_dir, "refs")):
        for name in files:
            text = _read(os.path.join(top, name)).strip()
            if NAME.fullmatch(text) or text.startswith("ref: "):
                found[os.path.relpath(os.path.join(top, name), git_dir)] = text
    if head := _read(os.path.join(git_dir, "HEAD")).strip():
        found["HEAD"] = head
    if os.path.isdir(os.path.join(git_dir, "reftable")):
        found |= _by_git(git_dir)
    return found


def tips(git_dir: str) -> dict[str, str]:
    """Whatever names an object: references, reflogs' lines, pseudo-references and notes of unfinished operations.

    The name is the file's in the git directory; a reflog's lines have a ``#number`` behind it.
    """
    found = references(git_dir)
    for top, folders, files in os.walk(git_dir):
        inside = os.path.relpath(top, git_dir)
        if inside == ".":
            folders[:] = [name for name in folders if name not in NO_TIPS]
        for name in files:
            if name not in ("index", "packed-refs") and not name.endswith(".lock"):
                found |= _named_in(
                    os.path.normpath(os.path.join(inside, name)), _read(os.path.join(top, name))
                )
    return {name: commit for name, commit in found.items() if NAME.fullmatch(commit)}


def _named_in(name: str, text: str) -> dict[str, str]:
    """The objects in a file: the first words of each line, as in FETCH_HEAD, a rebase's todo and a reflog."""
    found = {}
    for number, line in enumerate(text.splitlines()):
        for place, word in enumerate(line.split(" ", 3)[:2]):
            if NAME.fullmatch(word) and word != NOTHING:
                found[f"{name}#{number}.{place}"] = word
    return found


def reach(git_dir: str, commits: Iterable[str], *, objects: bool = True) -> set[str]:
    """What these commits reach in the repository's objects; what is not there is passed over."""
    wanted = sorted(set(commits))
    if not wanted:
        return set()
    found, whole = _rev_list(git_dir, wanted, objects=objects)
    if not whole:  # one that is not there, or is damaged, must not hide the others
        wanted = there(git_dir, wanted)
        found, whole = _rev_list(git_dir, wanted, objects=objects)
    if not whole and len(wanted) > 1:
        for commit in wanted:
            found |= _rev_list(git_dir, [commit], objects=objects)[0]
    return found


def there(git_dir: str, names: Iterable[str]) -> list[str]:
    """Those of the objects that the repository has."""
    done = run(git_dir, "cat-file", "--batch-check=%(objectname)", feed="\n".join(names))
    return [line for line in done.stdout.splitlines() if NAME.fullmatch(line)]


def _rev_list(git_dir: str, commits: list[str], *, objects: bool) -> tuple[set[str], bool]:
    words = ["rev-list", "--ignore-missing", "--missing=allow-any"]
    done = run(
        git_dir,
        *words,
        *(["--objects", "--no-object-names"] if objects else []),
        "--stdin",
        feed="\n".join(commits),
    )
    return set(done.stdout.split()), done.returncode == 0


def blobs(git_dir: str, names: Iterable[str]) -> Iterator[bytes]:
    """The contents of those objects of the repository that are blobs."""
    done = subprocess.run(
        ["git", "cat-file", "--batch"],
        env=_environment(git_dir),
        input="".join(f"{name}\n" for name in names).encode("ascii"),
        capture_output=True,
        check=False,
    )
    said, at = done.stdout, 0
    while (end := said.find(b"\n", at)) >= 0:
        _, *facts = said[at:end].split()
        at = end + 1
        if len(facts) == 2:  # otherwise it is missing
            kind, size = facts[0], int(facts[1])
            if kind == b"blob":
                yield said[at : at + size]
            at += size + 1


def run(git_dir: str, *words: str, feed: str = "") -> subprocess.CompletedProcess[str]:
    """git in a repository of our own that has the objects of the one at ``git_dir``."""
    return subprocess.run(
        ["git", *words],
        env=_environment(git_dir),
        input=feed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )


def _environment(git_dir: str) -> dict[str, str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_DIR": _borrower(),
        "GIT_OBJECT_DIRECTORY": os.path.join(git_dir, "objects"),
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
    }
    if os.path.isfile(os.path.join(git_dir, "shallow")):
        env["GIT_SHALLOW_FILE"] = os.path.join(git_dir, "shallow")
    return env


@functools.cache
def _borrower() -> str:
    """A git directory with no object, no reference and no configuration: an agent's among the logs, else a temporary one."""
    logs = os.environ.get("HPM_TEST_LOGS")
    place = os.path.join(logs, f"borrower-{os.getpid()}") if logs else _temporary()
    for name in ("objects", "refs"):
        os.makedirs(os.path.join(place, name), exist_ok=True)
    with open(os.path.join(place, "HEAD"), "w", encoding="ascii") as file:
        file.write("ref: refs/heads/none\n")
    return place


def _temporary() -> str:
    place = tempfile.mkdtemp(prefix="hpm-judge-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def _by_git(git_dir: str) -> dict[str, str]:
    """The references of a repository that does not keep them in files."""
    words = ["git", "--git-dir", git_dir, "for-each-ref", "--format=%(refname) %(objectname)"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def _read(path: str) -> str:
    """The text of a small regular file; "" for anything else."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > LARGEST:
            return ""
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except OSError:
        return ""
