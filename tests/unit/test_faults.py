"""The catalogue of faults, the marks of the tests, and the page that is made of both."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.against import (
    MUST,
    NOT_IMPORTED,
    NOT_RUN,
    PASSES,
    Results,
    environment,
    mended_at,
    of_test,
    run,
)
from tests.faults.catalogue import REAL, Row, Shown, Table, marks, problems, rows, tables
from tests.faults.page import filled
from tests.support.frontends import PROJECT
from tests.support.repos import make_repo

ROWS = [
    Row("P1", "A promise", "how it is kept", is_open=False),
    Row("a-fault", "it breaks", "it is mended", is_open=False),
    Row("A1", "seen", "not mended", is_open=True),
]
TABLE = Table("Promises", ("promise", "kept"), ROWS)
TEST = Shown("tests/unit/test_x.py", 3, "test_it")

SOURCE = """
import pytest

@pytest.mark.fault("P1", "a-fault")
@pytest.mark.parametrize("n", [1])
def test_one(n): ...

@pytest.mark.fault("A1")
class TestAll:
    @pytest.mark.fault("P1")
    def test_two(self): ...

def test_three(): ...
"""


def test_the_catalogue_has_every_promise_and_every_fault_that_was_seen() -> None:
    known = rows()
    assert [name for name in known if name.startswith("P")] == [f"P{number}" for number in range(1, 11)]
    assert {name[0] for name in known if REAL.fullmatch(name)} == set("ABCDEF")
    assert all(row.situation and row.happens for row in known.values())
    assert len({table.title for table in tables()}) == len(tables())


def test_rows_that_an_earlier_revision_has_as_mended_are_left_out(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    assert mended_at("HEAD", repo.root) == set()
    rows = '{ A1 = ["seen", "mended"], A2 = ["seen", "not yet", "open"], P1 = ["a promise", "kept"] }'
    text = f'[[table]]\ntitle = "T"\ncolumns = ["a", "b"]\nrows = {rows}\n'
    repo.commit({"tests/faults/catalogue.toml": text})
    assert mended_at("HEAD", repo.root) == {"A1"}


def test_marks_are_read_from_functions_and_classes(tmp_path: Path) -> None:
    path = tmp_path / "unit" / "test_marked.py"
    path.parent.mkdir()
    path.write_text(SOURCE, encoding="utf-8")
    found = {name: [str(shown) for shown in tests] for name, tests in marks(tmp_path).items()}
    assert found == {
        "P1": ["test_marked.py::test_one", "test_marked.py::TestAll::test_two"],
        "a-fault": ["test_marked.py::test_one"],
        "A1": ["test_marked.py::TestAll::test_two"],
    }
    path.write_text(SOURCE.replace('"A1"', "NAME"), encoding="utf-8")
    with pytest.raises(ValueError, match="is a literal"):
        marks(tmp_path)
    of_a_case = 'CASE = pytest.param(1, marks=pytest.mark.fault("P1"))\n'
    path.write_text(SOURCE + of_a_case, encoding="utf-8")
    with pytest.raises(ValueError, match="give the case a test of its own"):
        marks(tmp_path)


@pytest.mark.parametrize(
    ("marked", "problem"),
    [
        ({"P1": [TEST], "a-fault": [TEST]}, None),
        ({"P1": [TEST]}, "a-fault: no test is marked with it, and it is not open"),
        ({"P1": [TEST], "a-fault": [TEST], "A1": [TEST]}, "A1: is open, but test_x.py::test_it shows it"),
        (
            {"P1": [TEST], "a-fault": [TEST], "A99": [TEST]},
            "test_x.py::test_it: the catalogue has no fault 'A99'",
        ),
    ],
    ids=["agree", "no test", "open", "unknown"],
)
def test_what_does_not_agree_is_said(marked: dict[str, list[Shown]], problem: str | None) -> None:
    assert problems([TABLE], marked) == ([problem] if problem else [])


def test_tables_are_written_between_their_markers_and_nothing_else_is() -> None:
    page = "Before\n<!-- rows: Promises -->\nold\n<!-- end -->\n{}\n<!-- not yet: Promises -->\n<!-- end -->\nafter\n"
    wanted = (
        "Before\n<!-- rows: Promises -->\n"
        "| promise | kept | shown by |\n|---|---|---|\n"
        "| P1 A promise | how it is kept | `test_x.py::test_it` |\n"
        "| it breaks | it is mended |  |\n"
        "<!-- end -->\n{}\n<!-- not yet: Promises -->\n"
        "| promise | kept |\n|---|---|\n| A1 seen | not mended |\n"
        "<!-- end -->\nafter\n"
    )
    assert filled(page, [TABLE], {"P1": [TEST]}) == wanted
    assert filled(wanted, [TABLE], {"P1": [TEST]}) == wanted


def test_a_mark_that_the_catalogue_does_not_know_ends_the_collection(tmp_path: Path) -> None:
    (tmp_path / "test_marked.py").write_text(SOURCE.replace("a-fault", "A99"), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "tests.support.fault_marks"),
            *("-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "catalogue.toml has no fault 'P1', 'A99'" in done.stderr


def test_whatever_is_started_is_of_the_other_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for place in ("hpm_tools/cli", "bin"):
        (tree / place).mkdir(parents=True)
    (tree / "hpm_tools" / "__init__.py").touch()
    (tree / "hpm_tools" / "cli" / "__init__.py").touch()
    (tree / "hpm_tools" / "cli" / "hpm.py").write_text("def main():\n    print('other')\n", encoding="utf-8")
    (tree / "bin" / "hpm").write_bytes((PROJECT / "bin" / "hpm").read_bytes())
    python = environment(tmp_path / "venv", tree)
    for words in (
        [str(python.with_name("hpm"))],
        [str(python), "-c", "import msgspec; from hpm_tools.cli import hpm; hpm.main()"],
    ):
        done = subprocess.run(words, cwd="/", env={}, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "other\n"), done.stderr


OF_MENDED_FAULTS = """
import pytest

@pytest.mark.fault("A1")
@pytest.mark.parametrize("n", [1, 2])
def test_cases(n): assert n == 2

@pytest.mark.fault("B2")
def test_skipped(): pytest.skip("not here")

@pytest.mark.fault("P1")
def test_promise(): ...
"""


def test_only_tests_of_mended_faults_are_run_and_one_file_does_not_keep_the_others(tmp_path: Path) -> None:
    tests = tmp_path / "tree" / "tests"
    shutil.copytree(PROJECT / "tests" / "faults", tests / "faults")
    for name, source in {
        "test_a.py": OF_MENDED_FAULTS,
        "test_b.py": f"import no_such\n{OF_MENDED_FAULTS}",
    }.items():
        (tests / name).write_text(source, encoding="utf-8")
    found = run(tests.parent, Path(sys.executable), ["tests/test_a.py", "tests/test_b.py"], jobs=0)
    assert found.cases == {
        "tests/test_a.py::test_cases[1]": "failed",
        "tests/test_a.py::test_cases[2]": "passed",
        "tests/test_a.py::test_skipped": "skipped",
    }
    assert found.unread == ["tests/test_b.py"]


@pytest.mark.parametrize(
    ("results", "told"),
    [
        (Results({"t.py::test_a": "failed"}, []), {"t.py::test_a": MUST}),
        (
            Results(
                {"t.py::test_a[1]": "failed", "t.py::test_a[2]": "passed", "t.py::test_ab": "passed"}, []
            ),
            {"t.py::test_a[1]": MUST, "t.py::test_a[2]": PASSES},
        ),
        (Results({}, ["t.py"]), {"t.py::test_a": NOT_IMPORTED}),
        (Results({}, ["u.py"]), {"t.py::test_a": NOT_RUN}),
    ],
    ids=["failed", "cases", "not imported", "not run"],
)
def test_what_another_revision_says_of_a_test(results: Results, told: dict[str, str]) -> None:
    assert of_test("t.py::test_a", results) == told
