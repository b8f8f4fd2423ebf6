"""Configuration that makes git run programs, and how the runner's git is kept from running them.

A worktree shares `.git/config` with its repository, and an agent can write there: a filter named by
`.gitattributes` would run in the runner's next `git add` (docs/design.md, Git worktrees). So executable settings
count only where the operator alone writes: in the global and the system's configuration. What a repository's own files
set is overridden in the environment of every git that the runner starts; the files stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.worktree.place import read_part
from hpm_tools.worktree.specials import refuse_no_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from hpm_tools.worktree.place import Place

EXECUTABLE = re.compile(
    r"core\.(fsmonitor|hookspath|sshcommand|pager|editor|askpass|gitproxy|alternaterefscommand|worktree)"
    r"|sequence\.editor|pager\..+|interactive\.difffilter"
    r"|filter\..+\.(clean|smudge|process|required)"
    r"|diff\.external|diff\..+\.(command|textconv)|merge\..+\.driver|(diff|merge)tool\..+\.(cmd|path)"
    r"|gpg\.(.+\.)?(program|defaultkeycommand)|credential\.(.+\.)?helper"
    r"|remote\..+\.(uploadpack|receivepack|vcs)|uploadpack\.packobjectshook|protocol\.(.+\.)?allow"
    r"|trailer\..+\.(command|cmd)|include\.path|includeif\..+\.path"
    r"|hook\..+\.command|gc\.recentobjectshook|alias\..+|url\..+\.(insteadof|pushinsteadof)"
    r"|lfs\.extension\..+\.(clean|smudge)|lfs\.customtransfer\..+\.(path|args)|lfs\.(.+\.)?standalonetransferagent",
    re.DOTALL,
)
"""The full names (section and key in lower case) of settings that run a program or redirect git."""

MENTION = re.compile(
    rb"fsmonitor|hookspath|sshcommand|pager|editor|askpass|gitproxy|alternaterefscommand|worktree\b|difffilter"
    rb"|filter|external|textconv|command|driver|\bcmd\b|difftool|mergetool|program|helper|uploadpack"
    rb"|receivepack|\bvcs\b|packobjectshook|\ballow\b|trailer|include|\blfs\b|hook|alias|insteadof",
    re.IGNORECASE,
)
"""A file without any of these words sets nothing executable: section and key names cannot be escaped."""

REQUIRED = re.compile(r"filter\..+\.required", re.DOTALL)

HARMLESS = {
    "merge": "false",
    "protocol": "never",
    "core.worktree": None,
    "include": None,
    "includeif": None,
    "alias": None,
    "url": None,
}
"""Overrides other than the empty value, by section or full name; None: an override would change nothing,
for GIT_WORK_TREE wins, the included settings are overridden one by one, and the runner's git uses neither
aliases nor addresses. Those two are told because they wait for a person."""

LFS_FILTER = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
}
"""What `git lfs install --local` writes: exactly these run, so that large files stay what they are."""

FIXED: Mapping[str, str] = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.splitIndex": "false",
    "core.pager": "cat",
    "core.editor": "true",
    "core.sshCommand": "false",
    "core.quotePath": "false",
    "core.safecrlf": "false",
    "core.trustctime": "true",
    "core.checkStat": "default",
    "core.ignoreStat": "false",
    "core.filesRefLockTimeout": "5000",
    "core.packedRefsTimeout": "10000",
    "credential.helper": "",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "log.showSignature": "false",
    "submodule.recurse": "false",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
"""In force for every git of the runner. It uses no network, so that no transport can be made to run, and takes no
file for unchanged that only its size and a time that can be set say so of."""

CHOICE_OF_FILES = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM")
"""The variables by which an operator says where his own configuration is."""

SYSTEM = tuple(map(Path, ("/etc/gitconfig", "/usr/local/etc/gitconfig", "/opt/homebrew/etc/gitconfig")))
"""Where the gits of distributions and Homebrew have the system's configuration."""

MOST_OVERRIDES = 2000
LARGEST_FILE = 1 << 20
"""Bytes of a configuration file that are searched: git reads a larger one faster."""

SHARED_SCOPES = frozenset({"local", "worktree"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One executable setting: where it was found (``global``, ``local``, ``worktree``), its name and value."""

    scope: str
    name: str
    value: str

    @property
    def digest(self) -> str:
        """Identifies the setting without showing its value, which may hold a secret."""
        return hashlib.sha256(
            f"{self.scope}\0{self.name}\0{self.value}".encode(errors="surrogateescape")
        ).hexdigest()


def own_directory(environ: Mapping[str, str]) -> Path | None:
    """Where git looks for the user's `config` and `ignore` beside ~/.gitconfig (git-config(1), gitignore(5))."""
    home = environ.get("HOME")
    xdg = environ.get("XDG_CONFIG_HOME") or (os.path.join(home, ".config") if home else None)
    return Path(xdg, "git") if xdg else None


def config_files(place: Place, environ: Mapping[str, str]) -> list[Path]:
    """The files that git reads settings from for ``place``, existing or not."""
    files = [place.common_dir / "config", place.git_dir / "config.worktree"]
    home, own = environ.get("HOME"), own_directory(environ)
    if "GIT_CONFIG_GLOBAL" in environ:
        files.append(Path(environ["GIT_CONFIG_GLOBAL"]))
    else:
        files += [Path(home, ".gitconfig")] if home else []
        files += [own / "config"] if own else []
    if environ.get("GIT_CONFIG_NOSYSTEM", "").lower() not in ("", "0", "false", "no", "off"):
        return files
    system = environ.get("GIT_CONFIG_SYSTEM")
    files += [Path(system)] if system else [path for path in SYSTEM if path.exists()]
    return files


def mentions_programs(files: Iterable[Path]) -> bool:
    """Whether any of ``files`` may set something executable; False spares asking git for its settings.

    Raises Unsound if something else than a file stands in the place of one: a FIFO would only hang git.
    """
    for path in files:
        refuse_no_file(path)
        content = read_part(path, 0, LARGEST_FILE + 1)
        if content is None and os.path.lexists(path):
            return True  # it cannot be read: git will say why
        if content and (len(content) > LARGEST_FILE or MENTION.search(content)):
            return True
    return False


def parse(listing: bytes) -> list[Setting]:
    """The executable settings in the output of `git config --list -z --show-scope`."""
    fields = listing.decode(errors="surrogateescape").split("\0")
    found = []
    for scope, entry in zip(fields[0::2], fields[1::2], strict=False):
        name, _, value = entry.partition("\n")
        if is_executable(name):
            found.append(Setting(scope, name, value))
    return found


def is_executable(name: str) -> bool:
    """Whether the setting ``name`` (section and key in lower case, as git lists it) runs a program or redirects git."""
    section, _, rest = name.partition(".")
    subsection, dot, key = rest.rpartition(".")
    return EXECUTABLE.fullmatch(f"{section}.{subsection.lower()}{dot}{key}") is not None


def overrides(
    settings: Collection[Setting],
    distrusted: frozenset[str] = frozenset(),
    approved: frozenset[str] = frozenset(),
) -> dict[str, str]:
    """The settings that switch off what ``settings`` would execute.

    The operator's global ones stay, except those whose digest is in ``distrusted``: they appeared while
    an agent ran; so do those of the repository in ``approved``.
    """
    found: dict[str, str] = {}
    required = {setting.name for setting in settings if REQUIRED.fullmatch(setting.name)}
    for setting in settings:
        if setting.scope not in SHARED_SCOPES and setting.digest not in distrusted:
            continue
        if setting.value == LFS_FILTER.get(setting.name) or setting.digest in approved:
            continue
        if setting.name in required:
            continue
        if setting.name.startswith("filter."):
            # Else git would refuse even to look at its files. Their content is kept from being stored by filters.py.
            demand = f"{setting.name.rpartition('.')[0]}.required"
            found |= {demand: "false"} if demand in required else {}
        section = setting.name.partition(".")[0]
        value = HARMLESS.get(setting.name, HARMLESS.get(section, ""))
        if value is not None:
            found[setting.name] = value
    return found


def as_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """``settings`` as variables that git reads as if given by -c.

    Unlike -c they can carry a name with an equals sign in it, as an agent may choose one.
    """
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings):
        variables[f"GIT_CONFIG_KEY_{number}"] = name
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables
