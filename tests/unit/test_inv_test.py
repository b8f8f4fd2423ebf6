"""`./inv test -- ARGS`: pytest and nothing else, with these words as they were given, and with its exit code."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import BIN, PROJECT, call, invoke

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = """
import pytest

@pytest.mark.parametrize("what", ["a b", "a", "b"])
def test_of(what): pass

def test_cut(): assert not "right"
def test_fold(): pass
"""


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A test file outside of the project, whose own settings do not hold there."""
    path = tmp_path / "test_sample.py"
    path.write_text(SAMPLE, encoding="utf-8")
    return path


def programs(stderr: str) -> list[list[str]]:
    """What the suite says that it starts, without the interpreter."""
    return [shlex.split(line)[2:] for line in stderr.splitlines() if line.startswith("$ ")]


def test_words_reach_pytest_as_they_are_and_its_exit_code_comes_back(sample: Path) -> None:
    # In the order of the file: -x must leave out test_fold.
    words = [str(sample), "-k", "cut or fold", "-x", "-p", "no:randomly", "-p", "no:cacheprovider"]
    done = invoke("test", "--", *words)
    assert "1 failed, 3 deselected" in done.stdout
    assert programs(done.stderr) == [["-P", "-m", "pytest", *words]]
    assert done.returncode == 1


def test_a_blank_in_a_word_stays_there(sample: Path) -> None:
    done = invoke("test", "--", f"{sample}::test_of[a b]", "-p", "no:cacheprovider")
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout


def test_a_path_is_meant_from_where_the_call_is_made() -> None:
    words = [
        "test",
        "--",
        "test_inv_test.py",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "nowhere",
    ]
    done = call([BIN / "invoke", *words], cwd=PROJECT / "tests" / "unit")
    assert "deselected" in done.stdout, done.stderr
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_tier_beside_words_for_pytest_is_refused() -> None:
    done = invoke("test", "--all", "--", "-x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "choose with its own options" in done.stderr
