"""The CLI's own sandbox: whether this machine can run it, and what it must hide.

Measured with CLI 2.1.330 on Linux (docs/claude-cli.md, Sandbox). Without bubblewrap and socat the CLI only warns
and runs the agent's shell unsandboxed; with a bubblewrap that cannot make namespaces every command fails
and the run still ends as a success. So it is asked for only after the probe succeeded.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.config.files import read_file
from hpm_tools.errors import HpmError, Misconfigured
from hpm_tools.process.capture import capture

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBE = ("--unshare-all", "--ro-bind", "/", "/", "true")

HIDDEN_IN_HOME = (
    ".headless-pm",
    ".ssh",
    ".aws",
    ".gnupg",
    ".netrc",
    ".git-credentials",
    ".config/gh",
    ".config/gcloud",
    ".kube",
    ".docker/config.json",
    ".claude/.credentials.json",
)


INVOKE_FILES = (".invoke.yaml", ".invoke.yml", ".invoke.json", ".invoke.py")


def unavailable(environ: Mapping[str, str]) -> str | None:
    """Why the sandbox cannot be used on this machine; None if it can."""
    if sys.platform == "darwin":
        return None  # there the CLI uses sandbox-exec, a part of the system
    search = environ.get("PATH", os.defpath)
    bwrap = shutil.which("bwrap", path=search)
    missing = [
        name for name, path in (("bwrap", bwrap), ("socat", shutil.which("socat", path=search))) if not path
    ]
    if bwrap is None or missing:
        return f"{' and '.join(missing)} not found"
    try:
        answer = capture([bwrap, *PROBE], env=dict(environ), timeout=20, limit=1 << 16)
    except HpmError as error:
        return f"bwrap: {error.message}"
    if answer.rc != 0:
        reason = answer.err.decode(errors="replace").strip().splitlines()
        return f"bwrap cannot make namespaces here: {reason[-1] if reason else f'exit code {answer.rc}'}"
    return None


INSTALL_HINT = "Debian and Ubuntu: apt-get install bubblewrap socat; or set claude.sandbox to false"


def unreadable(cwd: Path, environ: Mapping[str, str]) -> list[Path]:
    """What the agent's shell must not read: every .env on the way up from ``cwd``, keys and logins."""
    directory = cwd.resolve()
    paths = [parent / ".env" for parent in (directory, *directory.parents)]
    home = environ.get("HOME")
    if home:
        paths += [Path(home, name) for name in HIDDEN_IN_HOME]
        # Without a key they stay: the agent's own `invoke` reads them, too.
        paths += [path for name in INVOKE_FILES if _has_key(path := Path(home, name))]
    if environ.get("CLAUDE_CONFIG_DIR"):
        paths.append(Path(environ["CLAUDE_CONFIG_DIR"], ".credentials.json"))
    return [path for path in paths if path.exists()]


def _has_key(path: Path) -> bool:
    try:
        return b"api_key" in path.read_bytes()
    except OSError:
        return False


def unwritable(cwd: Path) -> list[Path]:
    """What the agent of ``cwd`` must not write although it may write in ``cwd``: git's files, and other worktrees."""
    others = cwd / ".worktrees"
    return [cwd / ".git", *_git_directories(cwd), *([others] if others.is_dir() else [])]


def _git_directories(directory: Path) -> list[Path]:
    """The .git directory of a checkout; of a linked worktree its own and the common one."""
    pointer = directory / ".git"
    if pointer.is_dir():
        return [pointer]
    own = _one_line(pointer).removeprefix("gitdir:").strip()
    if not own:
        return []
    git = directory / own
    common = _one_line(git / "commondir")
    return [git, git / common] if common else [git]


def _one_line(path: Path) -> str:
    """The first line of a file that an agent may have replaced by anything, a FIFO without a writer included."""
    try:
        content = read_file(str(path)) or b""
    except Misconfigured:
        return ""
    return content.partition(b"\n")[0].decode(errors="surrogateescape").strip()
