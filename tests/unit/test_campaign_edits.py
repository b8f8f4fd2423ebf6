"""Edits of functions by name: what mutants of the package are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.campaign.edits import Condition, Edit, First, Statement, Unfit, Value, apply

if TYPE_CHECKING:
    from pathlib import Path

    from tests.campaign.edits import Change

SOURCE = """
class Box:
    def put(self, size):
        if size > 1 and self.full:
            log(size)
        elif self.closed:
            return open(size)
        with around('put'):
            store(size)
        return size if self.full else None
"""


def edited(tmp_path: Path, change: Change, name: str = "Box.put", source: str = SOURCE) -> str:
    """The source after the change, as the interpreter formats it."""
    module = tmp_path / "module.py"
    module.write_text(source, encoding="utf-8")
    apply([Edit(name, change)], tmp_path)
    return module.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "there", "gone"),
    [
        (First("return 1"), "def put(self, size):\n        return 1\n", "never there"),
        (Condition(True, test=["size", "full"]), "if True:\n            log", "size > 1"),
        (Condition(False, test=["closed"]), "elif False:", "elif self.closed"),
        (Condition(False, branch=["log"]), "if False:\n            log", "size > 1"),
        (Statement("store"), "with around('put'):\n            pass", "store(size)"),
        (Statement("around", "before()\n..."), "before()\n        with around('put'):\n", "never there"),
        (Value("open", "None"), "return None", "open(size)"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_function_is_changed(tmp_path: Path, change: Change, there: str, gone: str) -> None:
    after = edited(tmp_path, change)
    assert there in after
    assert gone not in after


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Condition(True, test=["missing"]), r"no condition on \['missing'\]"),
        (Condition(True, test=["full"]), "2 times a condition"),
        (Statement("missing"), "no statement that calls missing"),
        (Value("missing", "1"), "no call of missing"),
        (Value("log", "log(size)"), "changes nothing"),
    ],
)
def test_what_cannot_be_changed_is_named(tmp_path: Path, change: Change, why: str) -> None:
    with pytest.raises(Unfit, match=rf"(?s)function='Box\.put'.*module\.py: .*{why}"):
        edited(tmp_path, change)


def test_a_function_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"function='Box\.take'.*there is none"):
        edited(tmp_path, First("return"), name="Box.take")


def test_a_function_is_found_wherever_it_moved(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    moved = tmp_path / "deep" / "er" / "moved.py"
    moved.write_text(SOURCE, encoding="utf-8")
    apply([Edit("Box.put", Statement("store"))], tmp_path)
    assert "store" not in moved.read_text(encoding="utf-8")


def test_of_functions_with_one_name_the_one_that_it_fits_is_changed(tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text("class Box:\n    def put(self):\n        pass\n", encoding="utf-8")
    edited(tmp_path, Statement("store"))
    assert other.read_text(encoding="utf-8").endswith("pass\n")


def test_an_edit_that_fits_two_functions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(SOURCE, encoding="utf-8")
    with pytest.raises(Unfit, match=r"fits several functions of that name: module\.py, other\.py"):
        edited(tmp_path, Statement("store"))
