"""Acts that write into .git: what the runner's git, or the operator's, would heed."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from tests.worlds.acting import ACTS, RARE, a_kind, common_directory, git_directory
from tests.worlds.acts_odd import make

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.agent import Agent

SETTINGS = {
    "fsmonitor": ("core.fsmonitor", "true"),
    "hooks": ("core.hooksPath", "/nowhere/hooks"),
    "remote": ("remote.origin.url", "https://192.0.2.1/evil.git"),
    "push": ("remote.origin.pushurl", "ext::sh -c true"),
    "rewritten": ("url.https://192.0.2.1/.insteadOf", "https://example.org/"),
    "ssh": ("core.sshCommand", "false"),
    "editor": ("core.editor", "false"),
    "include": ("include.path", "/nowhere/config"),
    "signing": ("commit.gpgSign", "true"),
    "case": ("core.ignoreCase", "true"),
    "modes": ("core.fileMode", "false"),
    "branch": ("branch.main.remote", "origin"),
}
BROKEN = {
    "format": "[core]\n\trepositoryformatversion = 99\n",
    "bare": "[core]\n\tbare = true\n",
    "worktree": "[core]\n\tworktree = /nowhere/at/all\n",
    "syntax": "[core\n",
    "filters": "".join(f'[filter "f{number}"]\n\tclean = cat\n' for number in range(2001)),
    "extension": "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tnonsense = true\n",
}


@ACTS.declare(rows=("F2",), draw=a_kind(*SETTINGS))
def setting(agent: Agent, kind: str) -> None:
    """It changes a setting of the repository."""
    agent.git("config", *SETTINGS[kind])


@ACTS.declare(rows=("D5",), draw=a_kind(*BROKEN), weight=RARE)
def break_config(agent: Agent, kind: str) -> None:
    """It adds to the repository's configuration what git, or hpm, cannot work with."""
    with open(os.path.join(common_directory(agent), "config"), "a", encoding="utf-8") as file:
        file.write(BROKEN[kind])


@ACTS.declare(
    rows=("D3",), draw=a_kind("clean", "process", "in the worktree's config", "by include"), weight=RARE
)
def filter_required(agent: Agent, kind: str) -> None:
    """It makes a filter required that changes or refuses what is committed."""
    common = common_directory(agent)
    where = []
    if kind == "in the worktree's config":
        agent.git("config", "extensions.worktreeConfig", "true")
        where = ["--worktree"]
    if kind == "by include":
        agent.write(
            os.path.join(common, "more"), '[filter "crypt"]\n\tclean = tr a-z A-Z\n\trequired = true\n'
        )
        agent.git("config", "include.path", "more")
    else:
        agent.git(
            "config", *where, "filter.crypt.process" if kind == "process" else "filter.crypt.clean", "false"
        )
        agent.git("config", *where, "filter.crypt.required", "true")
    agent.write(".gitattributes", "*.key filter=crypt\n")
    agent.write("new.key")


@ACTS.declare(
    draw=lambda chance: {"name": chance.choice(("pre-commit", "post-checkout", "reference-transaction"))},
)
def hook(agent: Agent, name: str) -> None:
    """It writes a hook that fails."""
    path = os.path.join(common_directory(agent), "hooks", name)
    agent.write(path, "#!/bin/sh\nexit 1\n")
    os.chmod(path, 0o755)


@ACTS.declare(
    rows=("F2",),
    draw=a_kind("exclude all", "exclude text", "attributes", "grafts", "shallow", "alternates", "sparse"),
)
def info(agent: Agent, kind: str) -> None:
    """It writes a file of .git that decides what git sees."""
    common = common_directory(agent)
    name, text = {
        "exclude all": ("info/exclude", "*\n"),
        "exclude text": ("info/exclude", "*.txt\n"),
        "attributes": ("info/attributes", "* -text -diff merge=nonsense\n"),
        "grafts": ("info/grafts", f"{agent.said('rev-parse', 'HEAD')}\n"),
        "shallow": ("shallow", f"{agent.said('rev-parse', 'HEAD')}\n"),
        "alternates": ("objects/info/alternates", "/nowhere/objects\n"),
        "sparse": ("info/sparse-checkout", "/nothing/\n"),
    }[kind]
    agent.write(os.path.join(common, name), text)


def an_odd_file(chance: Random) -> dict[str, Any]:
    path = chance.choice(
        (
            "info/exclude",
            "info/attributes",
            "packed-refs",
            "hooks/pre-commit",
            "config",
            "objects/info/alternates",
            "refs/heads/odd",
            "FETCH_HEAD",
            "COMMIT_EDITMSG",
            "logs/HEAD",
        )
    )
    kinds = ["directory", "loop", "socket", "dangling"]
    # git waits for ever at a FIFO, a person's, too: only where it seldom looks.
    kinds += ["FIFO"] if path.startswith(("hooks", "FETCH", "COMMIT")) else []
    kinds += ["big"] if path in ("info/exclude", "hooks/pre-commit", "info/attributes") else []
    return {"path": path, "kind": chance.choice(kinds)}


@ACTS.declare(rows=("D4",), draw=an_odd_file, weight=2 * RARE)
def odd_file(agent: Agent, path: str, kind: str) -> None:
    """It puts something of an odd type where git expects a file."""
    put(os.path.join(common_directory(agent), path), kind)


def put(path: str, kind: str) -> None:
    """Something odd in the place of what is there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    make(path, kind)


def an_admin_file(chance: Random) -> dict[str, Any]:
    return {
        "name": chance.choice(("index", "HEAD", "commondir", "gitdir", "ORIG_HEAD", "logs/HEAD", "locked")),
        "kind": chance.choice(("directory", "loop", "missing", "nonsense", "empty")),
    }


@ACTS.declare(rows=("D4",), draw=an_admin_file, weight=2 * RARE)
def admin_file(agent: Agent, name: str, kind: str) -> None:
    """It spoils a file by which git knows its worktree."""
    if agent.is_in_checkout and name != "index":
        return
    path = os.path.join(git_directory(agent), name)
    if kind in ("nonsense", "empty"):
        agent.write(path, "nonsense\n" if kind == "nonsense" else "")
    elif kind == "missing":
        os.unlink(path)
    else:
        put(path, kind)


@ACTS.declare(
    draw=lambda chance: {
        "name": chance.choice(("index", "HEAD", "config", "refs/heads/main", "packed-refs", "shallow"))
    }
)
def lock_left(agent: Agent, name: str) -> None:
    """A git of its own is killed, and leaves a lock behind."""
    place = git_directory(agent) if name in ("index", "HEAD") else common_directory(agent)
    path = os.path.join(place, f"{name}.lock")
    agent.write(path, "")
    agent.note("left", path)
