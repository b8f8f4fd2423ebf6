"""Calling a command through both front ends, as a person or a script would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support import forkserver

BIN = Path(sys.executable).parent
PROJECT = Path(__file__).resolve().parents[2]
SAMPLES = PROJECT / "tests" / "support" / "sample_commands.py"
SAMPLE_PROJECT = PROJECT / "tests" / "support" / "invoke_project"

FRONTS = {
    "hpm": [sys.executable, "-m", "hpm_tools.cli.hpm"],
    "invoke": [str(BIN / "invoke"), "--search-root", str(PROJECT)],
}
"""How each front end is started, wherever the call is made."""

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


def call(argv: list[str | Path], *, text: str | None = None, cwd: Path | None = None) -> Done:
    """Run a program with ``text`` on stdin (None: nothing there) in the test's home or ``cwd``."""
    words = [str(word) for word in argv]
    return forkserver.run(words, cwd=cwd or os.environ["HOME"], env=os.environ, text=text or "")


def hpm(*words: str, text: str | None = None, cwd: Path | None = None) -> Done:
    return call([BIN / "hpm", *words], text=text, cwd=cwd)


def invoke(*words: str, text: str | None = None, cwd: Path | None = None, project: Path = PROJECT) -> Done:
    """Plain invoke with ``project``'s tasks.py, wherever the call is made."""
    return call([BIN / "invoke", "--search-root", project, *words], text=text, cwd=cwd)


def sample_hpm(*words: str, text: str | None = None) -> Done:
    return call([sys.executable, "-P", SAMPLES, *words], text=text)


def sample_invoke(*words: str, text: str | None = None) -> Done:
    return invoke(*words, text=text, project=SAMPLE_PROJECT)
