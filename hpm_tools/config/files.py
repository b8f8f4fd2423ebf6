"""Reading configuration files: bounded, regular files only, and every wrong key named."""

from __future__ import annotations

import os
import stat

from hpm_tools.errors import Misconfigured
from hpm_tools.state.paths import private_group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

LARGEST = 1 << 20
SECTION = "hpm"
SETTINGS = "write one setting a line, e.g. api_url: http://localhost:6969"


def read_file(path: str) -> bytes | None:
    """The content of a regular file of at most 1 MiB; None if there is no such file.

    An agent may have put a FIFO or a device there: opening must not block, and only a file is read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Misconfigured(
            f"{path} cannot be read: {error.strerror}", "check its owner and permissions"
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Misconfigured(f"{path} is not a regular file", "remove it or put a file in its place")
        if status.st_size > LARGEST:
            raise Misconfigured(
                f"{path} is larger than {LARGEST >> 20} MiB", "put a shorter file in its place"
            )
        return b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))
    finally:
        os.close(descriptor)


def others_may(path: str, bit: int) -> bool:
    """Whether users who are neither its owner nor in its group reach a file and may do with it what ``bit`` says."""
    try:
        return bool(os.stat(path).st_mode & bit and os.stat(os.path.dirname(path)).st_mode & stat.S_IXOTH)
    except OSError:
        return False


def written_by_others(path: str) -> str:
    """The problem with a file of the operator's that somebody besides this user and root can write; "" if nobody can."""
    try:
        status = os.stat(path)
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if status.st_uid not in (os.geteuid(), 0):
        return f"{path} belongs to user {status.st_uid}, who can change it: use a copy of your own"
    if others_may(path, stat.S_IWOTH) or (status.st_mode & stat.S_IWGRP and not private_group(status.st_gid)):
        return f"{path} can be written by others: look at what is in it, then: chmod go-w {path}"
    return ""


def parse_yaml(content: bytes, path: str) -> dict[object, Any]:
    """The mapping in a YAML file ({} for an empty one); Misconfigured with the place of the mistake."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = yaml.load(content, Loader=loader)  # noqa: S506  # both are safe loaders
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path} is not valid YAML{_place(error)}", "correct it there") from error
    except (RecursionError, ValueError) as error:
        raise Misconfigured(
            f"{path} is not valid YAML: {type(error).__name__}", "correct it there"
        ) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise Misconfigured(f"{path} must hold a mapping of settings, not {type(data).__name__}", SETTINGS)
    return data


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or ""
    where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
    return f"{where}: {problem}" if problem else where


def operator_section(content: bytes, path: str) -> dict[object, Any]:
    """The settings of the operator's config.yaml: at top level, or all of them under ``hpm:``."""
    data = parse_yaml(content, path)
    return section(data, path) if set(data) == {SECTION} else data


def section(data: Mapping[object, Any], path: str) -> dict[object, Any]:
    """What is under ``hpm`` in ``data``: a mapping of settings, or Misconfigured."""
    found = data.get(SECTION)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Misconfigured(
            f"{path}: {SECTION} must be a mapping of settings, not {type(found).__name__}", SETTINGS
        )
    return found


def flatten(data: Mapping[object, Any], known: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """The settings of a nested mapping under dotted paths; unknown ones are yielded too."""
    groups = {path.partition(".")[0] for path in known if "." in path}
    for key, value in data.items():
        if key in groups and isinstance(value, dict):
            for inner, item in value.items():
                # YAML reads the key of "on: [parked]" as true.
                yield f"{key}.{'on' if inner is True else inner}", item
        else:
            yield str(key), value


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` for a near miss, or nothing."""
    import difflib

    names = list(known)
    near = difflib.get_close_matches(word.replace("-", "_"), names, n=1, cutoff=0.7)
    if not near:
        near = [name for name in names if name.rpartition(".")[2] == word.rpartition(".")[2]][:1]
    return f" (did you mean {near[0]}?)" if near else ""
