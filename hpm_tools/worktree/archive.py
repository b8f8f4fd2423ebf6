"""Ignored files that cannot be made again, kept in a tar beside the repository when a worktree goes."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
import tarfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import BadData, CannotCreate
from hpm_tools.text import size
from hpm_tools.trees import walk
from hpm_tools.worktree.files import descend, parts
from hpm_tools.worktree.registration import sync_directory
from hpm_tools.worktree.salvage import CannotSalvage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from io import BufferedRandom
    from pathlib import Path

LIMIT = 100 << 20
"""Bytes of ignored files that are archived; a worktree with more stays where it is."""

CHUNK = 1 << 20
LINE = "archive: "
FINISHED = ".finished"


@dataclass(frozen=True, slots=True)
class Archive:
    """A finished archive and the line by which a salvage commit vouches for it."""

    path: Path
    digest: str

    @property
    def line(self) -> str:
        return f"{LINE}{self.path.name} sha256={self.digest}"


def precious(
    directory: Path, ignored: Iterable[str], regenerable: Sequence[str], known: Mapping[str, str]
) -> list[str]:
    """The ignored files below ``directory`` that would be lost with it.

    Left out is what matches a ``regenerable`` name or pattern, and what is still as it was when the
    worktree was made (``known``: path → digest). Raises CannotSalvage if there is a repository among them.
    """
    return [
        path
        for path in _files(directory, ignored, regenerable)
        if path not in known or known[path] != fingerprint(directory / path)
    ]


def is_regenerable(path: str, patterns: Sequence[str]) -> bool:
    """Whether a component of ``path`` matches one of ``patterns``."""
    return any(
        fnmatchcase(part, pattern.rstrip("/")) for part in path.split("/") if part for pattern in patterns
    )


def _files(directory: Path, ignored: Iterable[str], regenerable: Sequence[str]) -> Iterator[str]:
    for path in ignored:
        if is_regenerable(path, regenerable):
            continue
        if path.endswith("/") and not (directory / path.rstrip("/")).is_symlink():
            yield from _below(directory, path.rstrip("/"), regenerable)
        elif _kept_kind(directory / path):
            yield path


def _below(directory: Path, top: str, regenerable: Sequence[str]) -> Iterator[str]:
    start = len(f"{directory}/")
    for here, directories, files in walk(f"{directory}/{top}", _unreadable):
        relative = here[start:]
        if ".git" in directories or ".git" in files:
            raise CannotSalvage(f"there is a repository of its own at {relative}")
        for name in list(directories):
            if is_regenerable(name, regenerable):
                directories.remove(name)
        for name in files:
            path = f"{relative}/{name}"
            if not is_regenerable(name, regenerable) and _kept_kind(directory / path):
                yield path


def _unreadable(error: OSError) -> None:
    raise CannotSalvage(f"cannot read {error.filename}: {error.strerror}") from error


def _kept_kind(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
def write(directory: Path, paths: Sequence[str], folder: Path, prefix: str) -> Archive:
    """Put the files ``paths`` of ``directory`` into a tar in ``folder`` (0600), durably, and read it back.

    The same files give the same archive, so that a step repeated after a crash makes no second one.
    Raises CannotSalvage if they are too large, change meanwhile or cannot be read, CannotCreate if the
    archive cannot be written.
    """
    total = sum((directory / path).lstat().st_size for path in paths)
    if total > LIMIT:
        place = shlex.quote(str(directory))
        raise CannotSalvage(
            f"{size(total)} of ignored files are more than the {size(LIMIT)} that are archived",
            f"copy what is wanted of them, then: hpm worktree.remove --discard-ignored --path {place}; "
            "what can be made again belongs into worktree.regenerable",
        )
    temporary = folder / f"{prefix}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # An agent may have made a link of it, to have the archive written, and other files replaced, elsewhere.
        os.close(descend(folder.parent.parent, (folder.parent.name, folder.name), make=False))
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w+b") as file:
            digest = _write_checked(directory, paths, file)
        target = folder / f"{prefix}-{digest[:16]}.tar"
        failpoints.reach("archive.written")
        # The same files of the same task, which was reported before and is worked again.
        finished_mark(target).unlink(missing_ok=True)
        os.replace(temporary, target)
        failpoints.reach("archive.stored")
        sync_directory(folder)
    except OSError as error:
        raise CannotCreate(f"cannot write an archive in {folder}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return Archive(target, digest)


def finished_mark(archived: Path) -> Path:
    """The file beside an archive that says, by its date, when its task was reported; it outlives the archive."""
    return archived.with_name(f"{archived.name}{FINISHED}")


def _write_checked(directory: Path, paths: Sequence[str], file: BufferedRandom) -> str:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        written = {path: _add(tar, directory, path) for path in sorted(paths)}
    file.flush()
    os.fsync(file.fileno())
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        there = {member.name: _content(tar, member) for member in tar}
    if there != written:
        raise CannotSalvage("ignored files changed while they were being archived")
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _add(tar: tarfile.TarFile, directory: Path, path: str) -> str:
    """Add one file or link; a digest of its content, or the link's target."""
    full = directory / path
    if full.is_symlink():
        info = tar.gettarinfo(full, arcname=path)
        tar.addfile(info)
        return info.linkname
    try:
        fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CannotSalvage(f"cannot read the ignored file {path}: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        info = tar.gettarinfo(arcname=path, fileobj=file)
        # The second name of a file would become a link that cannot stand alone.
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", os.fstat(fd).st_size
        tar.addfile(info, file)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    content = tar.extractfile(member) if member.isreg() else None
    return member.linkname if content is None else hashlib.sha256(content.read()).hexdigest()


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: ``content`` is None for a symbolic link, whose target is ``target``."""

    path: str
    mode: int
    content: bytes | None
    target: str


def read(path: Path, digest: str) -> list[Member]:
    """The files of a verified archive.

    Raises BadData if it is gone, is not the one that its salvage vouches for, or names a path outside.
    """
    found = []
    try:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise BadData(
                    f"the archive {path} is not what was written", "its salvage names another digest"
                )
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    try:
                        parts(member.name)
                    except OSError:
                        raise BadData(f"the archive {path} names {member.name!r}, which is outside") from None
                    content = tar.extractfile(member) if member.isreg() else None
                    data = None if content is None else content.read()
                    found.append(Member(member.name, member.mode & 0o777, data, member.linkname))
    except (OSError, tarfile.TarError) as error:
        raise BadData(f"the archive {path} cannot be read: {error}") from error
    return found


def fingerprint(path: Path) -> str | None:
    """What tells whether a file is still as it was: its digest, or its identity where it is larger than an archive may be.

    Nobody but the superuser can put back the time at which an inode changed (inode(7), ctime).
    """
    try:
        found = path.lstat()
    except OSError:
        return None
    if stat.S_ISREG(found.st_mode) and found.st_size > LIMIT:
        return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
    return digest_of(path)


def digest_of(path: Path) -> str | None:
    """The digest of a regular file's content, or None if it is none or cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return hashlib.file_digest(file, "sha256").hexdigest()
