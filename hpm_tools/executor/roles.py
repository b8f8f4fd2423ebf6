"""Role instructions: where they are found, and what of them reaches the agent.

An operator's own files win over the built-in ones (hpm_tools/team_roles). What a role file says about
driving the board is left out by role_filter, and reported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.config.files import read_file
from hpm_tools.errors import Misconfigured
from hpm_tools.executor.markdown import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOUND_BY_THEMSELVES = (
    "team_roles",
    "agent_instructions",
    "headless_pm/team_roles",
    "agents/client/team_roles",
)
BUILT_IN = Path(__file__).resolve().parent.parent / "team_roles"
MAX_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class RoleText:
    """One role's instructions as they go into a prompt.

    ``left_out`` names the sections and sentences that the filter dropped; ``built_in`` says that no
    operator's file was found.
    """

    role: str
    path: Path
    text: str
    left_out: tuple[str, ...] = ()
    built_in: bool = False


def role_directories(*roots: str | os.PathLike[str]) -> list[Path]:
    """The directories below each root (default: the current one) in which role files are looked for, first wins."""
    return [Path(root) / name for root in (roots or (Path.cwd(),)) for name in FOUND_BY_THEMSELVES]


def find_role(
    role: str,
    where: str | os.PathLike[str] | Iterable[Path] | None = None,
    *,
    level: str = "",
    filtered: bool = True,
) -> RoleText:
    """The instructions for ``role`` (a name that `names.role` accepted).

    ``where`` is one directory that the operator named, which then must hold the role, or several to look
    through before the built-in ones; by default `role_directories` of the current directory. A file for
    the agent's ``level`` (``qa_junior.md``) wins over the general one (``qa.md``). ``filtered=False``
    takes a file as it is.

    Raises Misconfigured when the role is missing, or its file is not readable text.
    """
    if isinstance(where, (str, os.PathLike)):
        return _named(role, Path(where), level, filtered=filtered)
    for directory in role_directories() if where is None else where:
        for path in _candidates(directory, role, level):
            if os.path.lexists(path):
                return _load(role, path, directory.parent, filtered=filtered)
    return RoleText(role, BUILT_IN / f"{role}.md", _built_in(role), built_in=True)


def read_role(path: str | os.PathLike[str]) -> RoleText:
    """The instructions in the file at ``path``, named by an operator; the role is its name without the suffix.

    Raises Misconfigured if it is missing or no readable text.
    """
    path = Path(path)
    if not os.path.lexists(path):
        raise Misconfigured(f"the role file {path} does not exist", "name one that does")
    return _load(path.stem, path, None, filtered=True)


def _built_in(role: str) -> str:
    try:
        return (BUILT_IN / f"{role}.md").read_text(encoding="utf-8")
    except OSError as error:
        raise Misconfigured(
            f"there are no instructions for the role {role}", f"write team_roles/{role}.md"
        ) from error


def _named(role: str, directory: Path, level: str, *, filtered: bool) -> RoleText:
    if not directory.is_dir():
        raise Misconfigured(f"the roles directory {directory} does not exist", "check --roles-dir")
    candidates = _candidates(directory, role, level)
    for path in candidates:
        if os.path.lexists(path):
            return _load(role, path, None, filtered=filtered)
    raise Misconfigured(
        f"the roles directory {directory} has no instructions for the role {role}",
        f"write {candidates[-1]}, or leave --roles-dir out for the built-in ones",
    )


def _candidates(directory: Path, role: str, level: str) -> Sequence[Path]:
    names = [f"{role}_{level}.md", f"{role}-{level}.md"] if level else []
    return [directory / name for name in [*names, f"{role}.md"]]


def _load(role: str, path: Path, within: Path | None, *, filtered: bool) -> RoleText:
    """Read a role file; found by itself it must lie ``within`` where it was found, links resolved.

    A link in a repository would otherwise put any file of the operator's into a prompt.
    """
    real = path.resolve()
    if within is not None and not real.is_relative_to(within.resolve()):
        raise Misconfigured(
            f"the role file {path} is a link that leads out to {real}",
            f"name it with --roles-dir {real.parent}",
        )
    text = readable(_read(path))
    if not text.strip():
        raise Misconfigured(f"the role file {path} is empty", "write the instructions, or remove it")
    if not filtered:
        return RoleText(role, path, text)
    # Its patterns take longer to compile than most of a runner's modules to load.
    from hpm_tools.executor.role_filter import filter_role

    result = filter_role(text)
    return RoleText(role, path, result.text if result.text.strip() else _built_in(role), result.left_out)


def _read(path: Path) -> str:
    content = read_file(str(path))
    if content is None:
        raise Misconfigured(
            f"the role file {path} is a link to nothing", "write the instructions, or remove it"
        )
    if len(content) > MAX_BYTES:
        raise Misconfigured(f"the role file {path} is larger than {MAX_BYTES // 1024} KiB", "shorten it")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Misconfigured(
            f"the role file {path} is not UTF-8 text: {error.reason}", "save it as UTF-8"
        ) from error
