"""Where state lives: ``~/.headless-pm`` or ``HEADLESS_PM_HOME``, and how its files are named."""

from __future__ import annotations

import os
import stat

from hpm_tools import failpoints
from hpm_tools.errors import Misconfigured, UsageError
from hpm_tools.state import files

HOME_VARIABLE = "HEADLESS_PM_HOME"
DEFAULT_HOME = "~/.headless-pm"
AGENT_PREFIX = "agent-"
RECORD_SUFFIX = ".lock"
GUARD_SUFFIX = ".guard"
PROMPT_SUFFIX = ".prompt"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789.-"
_LONGEST_NAME = 80


class StateDir:
    """The state directory and its parts, as absolute paths. Making one touches no file.

    ``home`` wins over ``HEADLESS_PM_HOME``, which wins over ``~/.headless-pm``.
    """

    __slots__ = (
        "before",
        "config_file",
        "crashes",
        "events",
        "home",
        "limits",
        "locks",
        "outbox",
        "runs",
        "seen",
        "spending",
        "tasks",
        "trust",
    )

    def __init__(self, home: str | os.PathLike[str] | None = None) -> None:
        chosen = os.fspath(home) if home else os.environ.get(HOME_VARIABLE) or DEFAULT_HOME
        if "\0" in chosen:
            raise UsageError("the state directory's name contains a NUL")
        expanded = os.path.expanduser(chosen)
        if expanded.startswith("~"):
            raise Misconfigured(
                f"cannot tell whose home {chosen} means", f"set {HOME_VARIABLE} to a directory"
            )
        self.home = os.path.abspath(expanded)
        self.locks = os.path.join(self.home, "locks")
        self.tasks = os.path.join(self.home, "tasks")
        self.limits = os.path.join(self.home, "limits")
        self.outbox = os.path.join(self.home, "outbox.json")
        self.spending = os.path.join(self.home, "spending")
        self.runs = os.path.join(self.home, "runs")
        self.seen = os.path.join(self.home, "seen")
        self.before = os.path.join(self.home, "before")
        self.crashes = os.path.join(self.home, "crashes")
        self.trust = os.path.join(self.home, "trust")
        self.events = os.path.join(self.home, "events.sqlite")
        self.config_file = os.path.join(self.home, "config.yaml")

    def check(self) -> bool:
        """Whether there is a state directory. Misconfigured if anybody else could have written to it."""
        return _check(self.home) and _check(self.locks)

    def prepare(self, *directories: str) -> None:
        """Make the state directory and the named parts of it (``locks`` if none is named), private.

        Raises Misconfigured when one cannot be made or written, or others may write to it; CannotCreate on a full disk.
        """
        for path in (self.home, *(directories or (self.locks,))):
            if not _check(path):
                _make(path)
            if not os.access(path, os.W_OK | os.X_OK):
                raise _unusable(path, "it cannot be written")

    def record_file(self, agent_id: str) -> str:
        """The path of an agent's record; ``agent_id`` is valid (names.agent_id)."""
        return os.path.join(self.locks, f"{AGENT_PREFIX}{agent_id}{RECORD_SUFFIX}")

    def guard_file(self, agent_id: str) -> str:
        """The path of an agent's guard; ``agent_id`` is valid (names.agent_id)."""
        return os.path.join(self.locks, f"{AGENT_PREFIX}{agent_id}{GUARD_SUFFIX}")

    def prompt_file(self, agent_id: str) -> str:
        """The path of an agent's open question; ``agent_id`` is valid (names.agent_id)."""
        return os.path.join(self.locks, f"{AGENT_PREFIX}{agent_id}{PROMPT_SUFFIX}")

    def run_log(self, run_id: str) -> str:
        """The path of a run's log; its directory is made."""
        self.prepare(self.runs)
        return os.path.join(self.runs, file_name(run_id) + ".jsonl")

    def refs_file(self, run_id: str) -> str:
        """Where the refs of a run's snapshot are kept, if they are too many for its record."""
        return os.path.join(self.before, f"refs-{file_name(run_id)}")


def _unusable(path: str, why: str) -> Misconfigured:
    return Misconfigured(
        f"the state directory {path} cannot be used: {why}",
        f"mend it, or set {HOME_VARIABLE} to another directory",
    )


def _make(path: str) -> None:
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        _make(parent)
    try:
        # The mode is given, not left to the umask: 002 would let the group write.
        with failpoints.around("state"):
            os.mkdir(path, 0o700)
    except FileExistsError:
        if not _check(path):
            raise _unusable(path, "it is a dangling symbolic link") from None
    except OSError as error:
        if error.errno in files.NO_ROOM:
            raise files.unwritable(path, error) from error
        raise _unusable(path, f"it cannot be made: {error.strerror}") from error


def _check(path: str) -> bool:
    """Whether the directory exists; Misconfigured unless it is ours and only ours to write."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be reached") from error
    if not stat.S_ISDIR(found.st_mode):
        raise _unusable(path, "it is not a directory")
    if found.st_uid != os.geteuid():
        raise _unusable(path, f"it belongs to user {found.st_uid}, not to {os.geteuid()}")
    if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and not private_group(found.st_gid)):
        mode = stat.S_IMODE(found.st_mode)
        raise Misconfigured(
            f"the state directory {path} can be written by others (mode {mode:04o})",
            f"look at what is in it, then: chmod go-w {path}",
        )
    return True


def private_group(gid: int) -> bool:
    """Whether the group is this user's alone, as where every user has one and the umask is 002."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid())
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def file_name(text: str) -> str:
    """``text`` as a part of a file name: itself where it is plain, otherwise told apart by a digest."""
    kept = "".join(char if char in _PLAIN else "_" for char in text.lower())
    if kept == text and 0 < len(kept) <= _LONGEST_NAME and kept[0] not in ".-":
        return kept
    import hashlib

    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{kept[:_LONGEST_NAME].lstrip('.-')}_{digest}"


def board_slug(url: str) -> str:
    """A file name's part for a board: ``http://localhost:6969`` → ``localhost-6969``.

    The loopback's names are one board; user, password, query and a trailing slash do not count.
    """
    scheme, found, rest = url.strip().partition("://")
    if not found:
        scheme, rest = "", url.strip()
    rest = rest.partition("?")[0].partition("#")[0]
    authority, _, path = rest.partition("/")
    host, port = _host_and_port(authority.rpartition("@")[2].lower(), scheme.lower())
    where = f"{host}-{port}" if port else host
    path = path.strip("/")
    return file_name(f"{where}/{path}" if path else where)


def _host_and_port(authority: str, scheme: str) -> tuple[str, str]:
    host, found, port = authority.rpartition(":")
    if not found or authority.endswith("]"):
        host, port = authority, ""
    host = host.strip("[]")
    if host in _LOOPBACK:
        host = "localhost"
    return host, port or {"http": "80", "https": "443"}.get(scheme, "")


def task_name(board: str, task_id: int, created_at: str) -> str:
    """A file name for one task. The board gives ids again after a delete; the creation time tells them apart."""
    return f"{board}-{task_id}-{file_name(created_at.lower().replace(':', '.'))}"
