"""~/.invoke.py is a program: whatever it raises is told as a problem of that file, and is no crash of ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpm_tools.config import load_config
from hpm_tools.config.gathering import ConfigProblems


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise GeneratorExit", r"\(line 2\): GeneratorExit"),
        ("class Own(BaseException): ...\nraise Own('enough')", r"\(line 3\): Own: enough"),
        ("class Mute(Exception):\n  def __str__(self): raise ValueError\nraise Mute", r"\(line 4\): Mute"),
        ("raise ValueError('\\n\\nlast\\n')", r"\(line 2\): ValueError: last"),
    ],
    ids=["system", "own", "mute", "blank"],
)
def test_whatever_a_file_raises_is_a_problem_of_that_file(code: str, said: str) -> None:
    file = Path(os.environ["HOME"]) / ".invoke.py"
    file.write_text(f"hpm = {{}}\n{code}\n")
    with pytest.raises(ConfigProblems, match=rf"\.invoke\.py cannot be executed {said}$"):
        load_config()
