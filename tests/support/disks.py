"""Disks that are full or read-only: a small tmpfs of one's own, where this machine lets us mount one."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.support.needs import missing

PAGE = 4096


class SmallDisk:
    """A tmpfs at ``path``, gone with the block; a test that cannot mount one is skipped."""

    def __init__(self, path: Path, size: int = 16 << 20) -> None:
        self.path = path
        self.size = size
        self.ballast = path / ".ballast"

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        options = f"size={self.size},mode=0700"
        if reason := missing("unshare"):
            pytest.skip(f"NOT TESTED, this user may mount nothing: {reason}")
        done = mount("-t", "tmpfs", "-o", options, "tmpfs", str(self.path))
        assert done.returncode == 0, done.stderr
        return self

    def __exit__(self, *_: object) -> None:
        unmount(self.path)

    def fill(self, leave: int = 0) -> None:
        """Leave room for ``leave`` bytes, to a page."""
        fill(self.ballast, leave)

    def empty(self) -> None:
        self.ballast.unlink()

    def lock(self) -> None:
        """From now on nothing can be written."""
        done = mount("-o", "remount,ro", str(self.path))
        assert done.returncode == 0, done.stderr


def mount(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["mount", *words], check=False, capture_output=True, text=True, timeout=600)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(["mount"], 127, "", str(error))


def unmount(path: Path) -> None:
    """Take a file system away, at once even where it is in use."""
    subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True, timeout=600)


def unmount_below(directory: Path) -> None:
    """Take away every file system that is mounted below the directory, the innermost first; links are not followed."""
    try:
        lines = (
            Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        )
    except OSError:
        return  # not on Linux, where nothing here mounts anything
    # The fifth field, with blanks and the like as octal numbers (proc_pid_mountinfo(5)).
    points = [
        re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in lines
    ]
    for point in reversed(points):
        if point.startswith(f"{directory.resolve()}/"):
            unmount(Path(point))


def remove_tree(directory: Path) -> None:
    """Remove the directory with all that is in it, closed directories and mounted file systems, too."""
    unmount_below(directory)
    for top, folders, _ in os.walk(directory):
        for name in folders:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                with suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(directory, ignore_errors=True)


def fill(ballast: Path, leave: int = 0) -> None:
    """Fill the disk of ``ballast`` with it, but for ``leave`` bytes."""
    with ballast.open("wb", buffering=0) as file:
        free = os.statvfs(ballast.parent)
        pages = free.f_bavail * free.f_frsize // PAGE - -(-leave // PAGE)
        try:
            for _ in range(max(0, pages)):
                file.write(b"\0" * PAGE)
        except OSError as error:  # others write at the same time
            if error.errno != errno.ENOSPC:
                raise
