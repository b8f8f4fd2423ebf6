"""Which file system holds the state: over a network, a lock may mean less than it says."""

from __future__ import annotations

import os

NETWORK = frozenset(
    (b"nfs", b"nfs4", b"cifs", b"smb3", b"smbfs", b"afs", b"ceph", b"9p", b"virtiofs", b"fuse.sshfs")
)
_MOUNTS = "/proc/self/mountinfo"


def network_file_system(path: str) -> str | None:
    """The type of the network file system that holds ``path`` (``nfs4``…); None if it is a local one.

    Source: proc(5), /proc/<pid>/mountinfo. None where there is no such file.
    """
    try:
        device = os.stat(path).st_dev
        with open(_MOUNTS, "rb") as file:
            kind = _type_of(file.read(), os.major(device), os.minor(device))
    except OSError:
        return None
    return kind.decode("ascii", "replace") if kind in NETWORK else None


def _type_of(mounts: bytes, major: int, minor: int) -> bytes:
    for line in mounts.splitlines():
        mount, _, source = line.partition(b" - ")
        if mount.split(b" ")[2:3] == [b"%d:%d" % (major, minor)]:
            return source.split(b" ")[0]
    return b""
