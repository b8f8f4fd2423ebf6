"""Where installers put programs such as the Claude CLI. On the standard library alone: the hook pre_task looks here, too."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OF_THE_MACHINE = ("/usr/local/bin", "/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin")

_PREFIX = re.compile(r"^\s*prefix\s*=\s*(.+?)\s*$", re.MULTILINE)
_VERSION = re.compile(r"v?(\d+(?:\.\d+){0,2})$")


def places(environ: Mapping[str, str]) -> Iterator[Path]:
    """The directories beside PATH in which a program is looked for, in this order; not all of them exist.

    A cron job or systemd unit has a short PATH: what a login shell adds to it must be found without one.
    """
    home = environ.get("HOME")
    if home:
        yield from _of_home(Path(home), environ)
    yield from map(Path, OF_THE_MACHINE)


def _of_home(home: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    def root(variable: str, *usual: str) -> Path:
        return Path(environ.get(variable) or home.joinpath(*usual))

    yield home / ".claude" / "local"
    yield home / ".local" / "bin"
    yield from _npm_prefix(home)
    yield home / ".npm-global" / "bin"
    yield home / "node_modules" / ".bin"
    yield root("BUN_INSTALL", ".bun") / "bin"
    yield root("VOLTA_HOME", ".volta") / "bin"
    yield from _nvm(root("NVM_DIR", ".nvm"))
    yield from _fnm(root("FNM_DIR", ".local", "share", "fnm"))
    yield root("N_PREFIX", "n") / "bin"
    yield root("PNPM_HOME", ".local", "share", "pnpm")
    yield home / ".yarn" / "bin"
    yield home / ".config" / "yarn" / "global" / "node_modules" / ".bin"
    yield root("ASDF_DATA_DIR", ".asdf") / "shims"
    yield root("MISE_DATA_DIR", ".local", "share", "mise") / "shims"
    yield root("NODENV_ROOT", ".nodenv") / "shims"


def _npm_prefix(home: Path) -> Iterator[Path]:
    """Where `npm install -g` puts programs if ~/.npmrc says so (docs.npmjs.com, npmrc and config, prefix)."""
    try:
        text = (home / ".npmrc").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for prefix in _PREFIX.findall(text)[-1:]:
        value = prefix.strip("\"'").replace("${HOME}", str(home))
        value = str(home) + value[1:] if value.startswith("~/") else value
        if os.path.isabs(value):
            yield Path(value, "bin")


def _nvm(root: Path) -> Iterator[Path]:
    """The versions of nvm: the default alias where it names one, then the newest first."""
    versions = _newest_first(root / "versions" / "node")
    try:
        alias = _VERSION.match((root / "alias" / "default").read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        alias = None
    if alias:  # "20" means the newest 20.x; a name such as lts/* is left to the order
        wanted = alias[1] + "."
        versions.sort(key=lambda version: not f"{version.name.lstrip('v')}.".startswith(wanted))
    yield from (version / "bin" for version in versions)


def _fnm(root: Path) -> Iterator[Path]:
    yield root / "aliases" / "default" / "bin"
    for version in _newest_first(root / "node-versions"):
        yield version / "installation" / "bin"


def _newest_first(directory: Path) -> list[Path]:
    """The subdirectories that are named by a version."""
    try:
        found = [path for path in directory.iterdir() if _VERSION.match(path.name)]
    except OSError:
        return []
    return sorted(
        found, key=lambda path: [int(part) for part in path.name.lstrip("v").split(".")], reverse=True
    )


def is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def candidates(name: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """The programs called ``name``: the one on PATH, then those of ``places``."""
    on_path = shutil.which(name, path=environ.get("PATH", os.defpath))
    if on_path:
        yield Path(on_path).absolute()
    yield from (path for path in (place / name for place in places(environ)) if is_program(path))


def with_node(environ: Mapping[str, str], program: Path) -> dict[str, str]:
    """``environ`` in which ``program`` finds node, if it is a script.

    nvm and fnm keep node beside what it installed: found outside PATH, that version counts before another on
    PATH. Where PATH has no node at all, the first that is found comes last, so that it hides nothing on PATH.
    """
    path = environ.get("PATH", os.defpath)
    if not _is_script(program):
        return dict(environ)
    beside = program.parent
    if str(beside) not in path.split(os.pathsep) and is_program(beside / "node"):
        return {**environ, "PATH": os.pathsep.join((str(beside), path))}
    node = next(candidates("node", environ), None)
    if node is None or str(node.parent) in path.split(os.pathsep):
        return dict(environ)
    return {**environ, "PATH": os.pathsep.join((path, str(node.parent)))}


def _is_script(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False
