"""The runner's own git: it executes nothing that an agent wrote, prompts nobody and uses no network.

Every call names the git directories itself (an agent may have rewritten the `.git` pointer), gets an
environment made from an allowlist, and has the executable settings of the repository overridden.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, Misconfigured
from hpm_tools.process.capture import capture
from hpm_tools.text import one_line
from hpm_tools.worktree import executable, locks
from hpm_tools.worktree.place import Place, locate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TIMEOUT = 60.0
CHECKOUT_TIMEOUT = 600.0
"""Seconds for git calls that write or compare a whole checkout."""

OUTPUT_LIMIT = 256 << 20
"""Bytes; a status line for each of a million files stays below."""

READING = frozenset(
    {
        "cat-file",
        "check-attr",
        "config",
        "diff-index",
        "diff-tree",
        "for-each-ref",
        "ls-files",
        "ls-tree",
        "merge-base",
        "rev-list",
        "rev-parse",
        "status",
        # These write objects, which are nothing before a ref names them.
        "commit-tree",
        "hash-object",
        "write-tree",
    }
)
"""The commands that change nothing that anybody sees; every other one has a failpoint on each side."""

OLDEST = (2, 34)
WANTED = f"install git {OLDEST[0]}.{OLDEST[1]} or newer"
NUMBER = re.compile(r"\bgit version (\d+)\.(\d+)")

STRIPPED = "".join(map(chr, range(33))) + ".,:;<>\"\\'"
"""What git leaves out at both ends of a name or an address (ident.c, crud)."""

LOCK_RETRIES = 5
MOST_KNOWN = 64
RACY = 0.1
"""Seconds within which a file may change twice without its change time telling."""

PASSED_ON = (
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    *executable.CHOICE_OF_FILES,
)
SET: Mapping[str, str] = {
    "LC_ALL": "C",
    "TERM": "dumb",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    # Objects that are here become files; for others git-lfs would ask whatever server `.lfsconfig` names.
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_REFLOG_ACTION": "hpm",
}

distrusted: set[str] = set()
"""Digests of global settings that appeared while an agent ran (see tampering.py); not executed any more."""

pinned: dict[str, dict[str, str]] = {}
"""Common directory → settings that stay what they were before a run, whatever is configured since (hidden.py)."""

approved: set[str] = set()
"""Digests of the repository's own settings that the operator approved (hpm trust); these are executed."""

Signature = tuple[str, int, int, int, int]
"""A file's path, inode, size, and times of change of its content and of its inode, in ns; zeros: no file."""

_known: dict[tuple[Signature, ...], tuple[executable.Setting, ...]] = {}


class GitError(CannotCreate):
    """A git command failed; the message has its first line of complaint, ``stderr`` all of it."""

    kind = "git_failed"
    usual_hint = "git status and git fsck, run there, say more"

    def __init__(self, message: str, hint: str = "", *, returncode: int = 1, stderr: str = "") -> None:
        super().__init__(message, hint)
        self.returncode = returncode
        self.stderr = stderr


class MissingObjects(GitError):
    """Objects that a partial clone left with its remote are needed, and the runner's git uses no network."""


class GitResult(NamedTuple):
    """What git answered; ``text`` is its output as text without the final newline."""

    returncode: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return decode(self.out).rstrip("\n")


def decode(data: bytes) -> str:
    """Bytes from git as text; file names that are no UTF-8 survive the way back (os.fsencode)."""
    return data.decode(errors="surrogateescape")


class Git:
    """Git for one checkout (its top directory) or, with a Place, for exactly those directories."""

    def __init__(self, directory: Path | Place) -> None:
        self.place = directory if isinstance(directory, Place) else locate(directory)

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        check: bool = True,
        timeout: float = TIMEOUT,
        env: Mapping[str, str] | None = None,
        limit: int = OUTPUT_LIMIT,
        heed: Callable[[], None] | None = None,
    ) -> GitResult:
        """Run one git command; ``env`` adds variables, such as GIT_INDEX_FILE; ``heed`` may raise to end it.

        A lock file that a killed git left behind is removed once nobody has it open. Raises GitError if
        ``check`` and git fails, TimedOut, Misconfigured where git is missing.
        """
        if _reads(args, env):
            result = self._run(args, env, stdin=stdin, timeout=timeout, limit=limit, heed=heed)
        else:
            with failpoints.around("git"):
                result = self._run(args, env, stdin=stdin, timeout=timeout, limit=limit, heed=heed)
        if check and result.returncode != 0:
            raise failure(args, result)
        return result

    def _run(
        self,
        args: tuple[str, ...],
        env: Mapping[str, str] | None,
        *,
        stdin: bytes,
        timeout: float,
        limit: int,
        heed: Callable[[], None] | None,
    ) -> GitResult:
        environment = self._environment(env)
        for attempt in range(LOCK_RETRIES):
            result = _git(
                args, self.place.root, environment, stdin=stdin, timeout=timeout, limit=limit, heed=heed
            )
            if result.returncode == 0 or attempt == LOCK_RETRIES - 1:
                break
            if not locks.free_dead(decode(result.err), self.place.common_dir):
                break
        return result

    def text(self, *args: str) -> str:
        """The output of a git command that must succeed, as text."""
        return self.run(*args).text

    def settings(self) -> tuple[executable.Setting, ...]:
        """The executable settings that git would find for this place, from all files."""
        return _settings(self.place, executable.config_files(self.place, os.environ))

    def author(self) -> dict[str, str]:
        """Who commits, as variables, where neither the environment nor any configuration names somebody.

        What git strips to nothing names nobody: it refuses to commit for that (ident.c, "empty ident name").
        """
        asked = ("config", "-z", "--get-regexp", r"^(user|author|committer)\.(name|email)$")
        rows = (row.partition("\n") for row in self.run(*asked, check=False).text.split("\0"))
        told = {key: value for key, _, value in rows}
        found = {}
        for who in ("author", "committer"):
            for what, value in (("name", "hpm-tools"), ("email", "hpm-tools@localhost")):
                variable = f"GIT_{who}_{what}".upper()
                configured = told.get(f"{who}.{what}") or told.get(f"user.{what}", "")
                if not os.environ.get(variable, configured).strip(STRIPPED):
                    found[variable] = value
        return found

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        environment = base_environment()
        environment["GIT_DIR"] = str(self.place.git_dir)
        environment["GIT_COMMON_DIR"] = str(self.place.common_dir)
        if self.place.directory is not None:
            environment["GIT_WORK_TREE"] = str(self.place.directory)
        return environment | executable.as_environment(self._overrides()) | dict(extra or {})

    def _overrides(self) -> list[tuple[str, str]]:
        files = executable.config_files(self.place, os.environ)
        if not distrusted:
            files = files[:2]
        found = executable.overrides(_settings(self.place, files), frozenset(distrusted), frozenset(approved))
        if len(found) > executable.MOST_OVERRIDES:
            raise GitError(
                f"{files[0]} sets {len(found)} programs, more than can be switched off",
                "look at what was written there: git config --list --show-origin",
            )
        as_before = pinned.get(str(self.place.common_dir), {})
        return [*found.items(), *executable.FIXED.items(), *as_before.items()]


def _reads(args: tuple[str, ...], env: Mapping[str, str] | None) -> bool:
    """Whether a command changes nothing but objects, or an index of its own."""
    command = _command(args)
    if command == "symbolic-ref":
        return "-m" not in args
    return command in READING or "GIT_INDEX_FILE" in (env or {})


def base_environment() -> dict[str, str]:
    """The environment of the runner's git, made from an allowlist; no GIT_* of the caller's but the identity."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, **SET, "PATH": absolute_path()}


def _command(args: tuple[str, ...]) -> str:
    """The git command in ``args``, which `-c name=value` may come before."""
    values = iter(args)
    return next((arg for arg in values if not (arg == "-c" and next(values))), "")


def absolute_path() -> str:
    """PATH without relative entries, which would name programs in an agent's directory."""
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if os.path.isabs(entry))


def program() -> str:
    """The absolute path of git. Raises Misconfigured if there is none."""
    found = shutil.which("git", path=absolute_path())
    if found is None:
        raise Misconfigured("git is not installed", WANTED)
    return found


def version() -> str:
    """What git calls itself (``git version 2.39.5``). Raises Misconfigured if it is missing or too old."""
    answer = capture([program(), "--version"], env=base_environment(), timeout=TIMEOUT)
    said = one_line(decode(answer.out), 100)
    number = NUMBER.search(said)
    if number is None:
        # A configuration file that git cannot read ends every command of it, `git --version` too.
        complaint = decode(answer.err)
        hint = _hint(complaint) or WANTED
        raise Misconfigured(f"git does not tell its version: {said or one_line(complaint, 200)}", hint)
    if (int(number[1]), int(number[2])) < OLDEST:
        raise Misconfigured(f"{said} is too old", WANTED)
    return said


def failure(args: tuple[str, ...], result: GitResult) -> GitError:
    """The error for a failed command: its complaint, cut to a line."""
    stderr = decode(result.err)
    lines = [
        line for line in stderr.splitlines() if line.strip() and not line.startswith(("hint:", "warning:"))
    ]
    named = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    said = (
        named[0].removeprefix("fatal: ").removeprefix("error: ")
        if named
        else f"exit code {result.returncode}"
    )
    kind = MissingObjects if _PROMISED.search(stderr) else GitError
    return kind(
        f"git {_command(args)}: {one_line(said, 300)}",
        _hint(stderr),
        returncode=result.returncode,
        stderr=stderr,
    )


_DAMAGED_INDEX = re.compile(
    "index file (corrupt|smaller than expected|open failed)|unable to map index file|bad (signature|index)"
    "|index uses|unknown index entry|broken index|unordered stage entries|cache entry has null sha1"
)
"""What git says of an index that it cannot read (git's read-cache.c and split-index.c)."""
_PROMISED = re.compile("from promisor remote|transport '[^']*' not allowed")
"""What git says where it may not fetch what a partial clone lacks (promisor-remote.c, transport.c)."""
COMPLETE = (
    "the repository is a partial clone, and the runner's git uses no network; "
    "git fetch --refetch --no-filter, run in it while its remote answers, brings what is missing"
)
DAMAGED = (
    "bad object",
    "missing object",
    "missing blob",
    "missing tree",
    "missing commit",
    "invalid object",
    "bad shallow",
    "packed-refs",
    "reference broken",
    "corrupt",
    "unable to read",
    "not a git repository",
)
"""Parts of what git says where a file of the repository itself is damaged: free space and owner have no part in it."""


def index_is_damaged(stderr: str) -> bool:
    """Whether git complains of a checkout's index."""
    return _DAMAGED_INDEX.search(stderr) is not None


def _hint(stderr: str) -> str:
    if index_is_damaged(stderr):
        return "git's index is damaged: move it away, then git reset makes a new one from the last commit"
    if _PROMISED.search(stderr):
        return COMPLETE
    if any(said in stderr for said in DAMAGED) and "ermission denied" not in stderr:
        return "the repository is damaged: git fsck, run in it, says what is missing"
    if "bad config" in stderr:
        return "mend the named configuration file; hpm never rewrites it"
    if "No space left" in stderr:
        return "free some disk space"
    return ""


def _git(
    args: tuple[str, ...],
    cwd: Path,
    env: Mapping[str, str],
    *,
    stdin: bytes = b"",
    timeout: float = TIMEOUT,
    limit: int = OUTPUT_LIMIT,
    heed: Callable[[], None] | None = None,
) -> GitResult:
    done = capture([program(), *args], cwd=cwd, env=env, stdin=stdin, timeout=timeout, limit=limit, heed=heed)
    return GitResult(done.rc, done.out, done.err)


def _settings(place: Place, files: list[Path]) -> tuple[executable.Setting, ...]:
    everything = executable.config_files(place, os.environ)
    signature = (*map(_signature, files), *map(_signature, everything))
    if signature in _known:
        return _known[signature]
    if not executable.mentions_programs(files):
        _remember(signature, ())
        return ()
    environment = base_environment() | {
        "GIT_DIR": str(place.git_dir),
        "GIT_COMMON_DIR": str(place.common_dir),
    }
    args = ("config", "--list", "-z", "--show-scope", "--includes")
    result = _git(args, place.root, environment)
    if result.returncode != 0:
        raise failure(args, result)
    found = tuple(executable.parse(result.out))
    # An included file is not in the signature.
    if not any("include" in setting.name for setting in found):
        _remember(signature, found)
    return found


def _remember(signature: tuple[Signature, ...], found: tuple[executable.Setting, ...]) -> None:
    newest = max(entry[-1] for entry in signature)
    # A file changed just now may change again unnoticed.
    if time.time() - newest / 1e9 > RACY:
        if len(_known) > MOST_KNOWN:
            _known.clear()
        _known[signature] = found


def _signature(path: Path) -> Signature:
    try:
        found = os.stat(path)
    except OSError:
        return (str(path), 0, 0, 0, 0)
    return (str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
