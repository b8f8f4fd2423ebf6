"""A project with `./inv` and an environment that seems ready, to see what it would install and how it calls Invoke."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.frontends import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

INV = PROJECT / "inv"


def ready_project(directory: Path) -> Path:
    """Make it in ``directory``; its `invoke` tells how it was called."""
    (directory / ".venv" / "bin").mkdir(parents=True)
    (directory / "pyproject.toml").write_text("[project]\n")
    shutil.copy(INV, directory / "inv")
    (directory / ".venv" / "bin" / "python").symlink_to(sys.executable)
    program = directory / ".venv" / "bin" / "invoke"
    program.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    program.chmod(0o755)
    stamp(directory)
    return directory


def stamp(project: Path, level: str = "dev") -> None:
    """Note in the project's environment that it has what ``level`` needs."""
    (project / ".venv" / "inv-stamp").write_text(f"{level} {checksum(project).replace(' ', '-')} {project}\n")


def checksum(project: Path) -> str:
    with (project / "pyproject.toml").open("rb") as file:
        return subprocess.run(
            ["cksum"], stdin=file, capture_output=True, text=True, check=True
        ).stdout.strip()


def inv(
    program: Path, *words: str, cwd: Path | None = None, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **({"PATH": path} if path is not None else {})}
    return subprocess.run(
        [str(program), *words],
        cwd=cwd or program.parent,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def break_installation(project: Path) -> None:
    """Let pip fail, so that `inv` ends with 78 once it has said what it installs."""
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
