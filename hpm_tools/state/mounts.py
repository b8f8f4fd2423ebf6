"""Which file system holds the state: over a network, a lock may mean less than it says."""

from __future__ import annotations

import os

NETWORK = frozenset(
    (b"nfs", b"nfs4", b"cifs", b"smb3", b"smbfs", b"afs", b"ceph", b"9p", b"virtiofs", b"fuse.sshfs")
)
LOCAL = frozenset(
    (b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"zfs", b"bcachefs", b"f2fs", b"jfs", b"overlay", b"tmpfs")
)
"""Those that one kernel at a time has mounted. What is in neither list may be either."""
_MOUNTS = "/proc/self/mountinfo"


def network_file_system(path: str) -> str | None:
    """The type of the network file system that holds ``path`` (``nfs4``…); None if it is a local one.

    Source: proc(5), /proc/<pid>/mountinfo. None where there is no such file.
    """
    kind = _file_system(path)
    return kind.decode("ascii", "replace") if kind in NETWORK else None


def is_local(path: str) -> bool:
    """Whether the file system that holds ``path`` is known to be one that no other running kernel uses."""
    return _file_system(path) in LOCAL


def _file_system(path: str) -> bytes:
    """The type of the file system that holds ``path``; empty where it cannot be told."""
    try:
        device = os.stat(path).st_dev
        with open(_MOUNTS, "rb") as file:
            return _type_of(file.read(), os.major(device), os.minor(device))
    except OSError:
        return b""


def _type_of(mounts: bytes, major: int, minor: int) -> bytes:
    for line in mounts.splitlines():
        mount, _, source = line.partition(b" - ")
        if mount.split(b" ")[2:3] == [b"%d:%d" % (major, minor)]:
            return source.split(b" ")[0]
    return b""
