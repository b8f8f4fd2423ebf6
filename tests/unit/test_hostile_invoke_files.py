"""What may stand in the place of a file for Invoke: a program that raises anything, a pipe, another file than was trusted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools.config import load_config
from hpm_tools.config.gathering import ConfigProblems
from hpm_tools.errors import Misconfigured
from tests.support.frontends import hpm

if TYPE_CHECKING:
    from tests.support.repos import Repo


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


def trusted(repo: Repo) -> Path:
    file = repo.root / "invoke.yaml"
    file.write_text("hpm: {level: senior}\n")
    assert hpm("trust", "--repo", str(repo.root)).returncode == 0
    return file


def test_a_pipe_in_the_place_of_a_trusted_file_is_called_what_it_is(repo: Repo) -> None:
    file = trusted(repo)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ConfigProblems, match=r"invoke\.yaml is not a regular file$"):
        load_config(repo=repo.root)


def test_a_python_file_in_the_place_of_a_trusted_one_is_not_what_was_trusted(repo: Repo) -> None:
    trusted(repo).rename(repo.root / "invoke.py")
    with pytest.raises(Misconfigured, match=r"invoke\.yaml was trusted and is gone$"):
        load_config(repo=repo.root)
