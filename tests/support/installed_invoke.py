"""A real Invoke in a virtual environment of its own, as a distribution or pipx installs it: without hpm_tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import invoke

PROGRAM = "from invoke.main import program\nprogram.run()"


def invoke_without_hpm_tools(directory: Path) -> Path:
    """Make the environment in ``directory``; the path of its `invoke`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    (packages,) = (directory / "lib").glob("python*/site-packages")
    installed = Path(invoke.__file__).parent
    for path in (installed, *installed.parent.glob("invoke-*.dist-info")):
        (packages / path.name).symlink_to(path)
    return script(directory / "bin" / "invoke", directory / "bin" / "python", PROGRAM)


def script(path: Path, interpreter: Path | str, text: str = "") -> Path:
    """Make a program of ``text`` that ``interpreter`` runs; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{interpreter}\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path
