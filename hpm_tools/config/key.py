"""Finding the board's key: variables, then the operator's file, then ``.env`` of the start directory."""

from __future__ import annotations

import os

from hpm_tools.config.checks import is_loopback
from hpm_tools.config.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES = ("HEADLESS_PM_API_KEY", "API_KEY_HEADLESS_PM", "INVOKE_HPM_API_KEY")
LOOPBACK_ONLY = "API_KEY"
"""A name that other programs use too: its value goes to this machine alone."""


def variable_names(url: str) -> tuple[str, ...]:
    """The variables that may hold the key for the board at ``url``, best first."""
    return (*NAMES, LOOPBACK_ONLY) if is_loopback(url) else NAMES


def in_environment(environ: Mapping[str, str], url: str) -> tuple[str, str] | None:
    """(key, name of its variable), or None."""
    for name in variable_names(url):
        if environ.get(name):
            return environ[name], name
    return None


def in_dotenv(start_dir: str, url: str) -> tuple[str, str] | None:
    """(key, where it was found) from ``.env`` in the operator's start directory, or None.

    Only the key is taken: everything else in the file is for other programs.
    """
    path = os.path.join(start_dir, ".env")
    content = read_file(path)
    if content is None:
        return None
    found = dict(_assignments(content.decode(errors="replace")))
    for name in variable_names(url):
        if found.get(name):
            return found[name], f"{name} in {path}"
    return None


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.lstrip().startswith("#"):
            yield name.strip(), _unquoted(value.strip())


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return value.partition(" #")[0].rstrip()
