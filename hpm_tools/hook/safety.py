"""Whether a hook may run: the checks that sshd makes of its own files (StrictModes), for a hook has the
runner's rights.

Between the check and the start only root or this user could exchange the file, and both need no hook for
whatever they intend; so the file is not opened first and run by descriptor.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from hpm_tools.config.locate import find_repository
from hpm_tools.errors import Misconfigured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = 0


class UnsafeHook(Misconfigured):
    """A hook that somebody else could have written or exchanged; it was not run."""

    kind = "unsafe_hook"


def check_hook(path: Path, outside: Iterable[Path] = ()) -> Path:
    """The real path of the hook at ``path``, if it is safe to run; raises UnsafeHook with the reason.

    Safe is a regular file, inside its directory after links are resolved, in none of the repositories ``outside`` of
    which hooks must lie, nor in a linked worktree of theirs. It and every directory above belong to root or this user
    and can be written by nobody else; a sticky directory such as /tmp may be, and a group whose only member is this
    user counts as this user.
    """
    directory = Path(os.path.abspath(path.parent))
    real_directory, real = _resolved(directory), _resolved(path)
    if not real.is_relative_to(real_directory):
        raise UnsafeHook(f"the hook {path} is a link that leads out to {real}", "copy the file here instead")
    if not stat.S_ISREG(_status(real).st_mode):
        raise UnsafeHook(f"the hook {path} is not a regular file", "put a script or program in its place")
    homes = _repositories_around(real)
    for root in outside:
        if real.is_relative_to(os.path.realpath(root)) or os.path.realpath(root) in homes:
            raise UnsafeHook(
                f"the hook {path} lies in the repository {root}, where agents can change it",
                "keep hooks outside of the repositories that agents work on, and name them with --hooks-dir",
            )
    for component in dict.fromkeys((real, *real.parents, directory, *directory.parents)):
        fault = _fault(component)
        if fault:
            raise UnsafeHook(f"the hook {path} is not safe: {component} {fault}", _remedy(component, fault))
    return real


def _repositories_around(path: Path) -> set[str]:
    """The main worktrees of the repositories that ``path`` lies in; a linked worktree may be far from its own."""
    around = (find_repository(str(parent)) for parent in path.parents if os.path.lexists(parent / ".git"))
    return {os.path.realpath(found) for found in around if found is not None}


def _resolved(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _unseen(path, error) from error


def _status(path: Path) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise _unseen(path, error) from error


def _unseen(path: Path, error: Exception) -> UnsafeHook:
    reason = error.strerror if isinstance(error, OSError) else "a loop of links"
    return UnsafeHook(f"the hook {path} cannot be looked at: {reason}", "check it and its rights")


def _fault(path: Path) -> str:
    """Why others than root and this user could change what ``path`` holds; empty if they cannot."""
    status = _status(path)
    if status.st_uid not in (ROOT, os.geteuid()):
        return f"belongs to {_user(status.st_uid)}"
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return "can be written by everyone"
    if status.st_mode & stat.S_IWGRP:
        if _has_acl(path):
            return "can be written by users or groups named in its access list"
        if not private_group(status.st_gid):
            return f"can be written by the group {_group(status.st_gid)}"
    return ""


def _remedy(path: Path, fault: str) -> str:
    if fault.startswith("belongs"):
        return "only hooks that belong to root or to you are run"
    return f"setfacl -b {path}" if "access list" in fault else f"chmod go-w {path}"


def private_group(gid: int) -> bool:
    """Whether this user is the group's only member, as where every user has a group of his own.

    Under umask 002, the default there, everything a user makes can be written by this group. A user
    unknown to the system has no private group.
    """
    try:
        me, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    if not {me.pw_name}.issuperset(group.gr_mem):
        return False
    if gid == me.pw_gid and group.gr_name == me.pw_name:
        return True
    # Listing all users can be slow where they come from a directory service: only if nothing else decided.
    primary = {user.pw_name for user in pwd.getpwall() if user.pw_gid == gid}
    return {*group.gr_mem, *primary} == {me.pw_name}


def _has_acl(path: Path) -> bool:
    """With an access list the mode's group bits are its mask, and say nothing about the group (acl(5))."""
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except (AttributeError, OSError):
        return False


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
