"""Runs the tests of mended faults on the package of another revision, where each of them must fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.catalogue import CATALOGUE, PROJECT, REAL, TESTS, marks, read_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.faults.catalogue import Shown

MUST = "failed as it must"
SET_UP = "failed before it began: look whether for this fault"
NOT_IMPORTED = "could not be imported there: weak evidence"
PASSES = "PASSES there: shows nothing"
SKIPPED = "was skipped: shows nothing"
NOT_RUN = "was not run: shows nothing"
NOTHING = "nothing"


def mended() -> dict[Shown, list[str]]:
    """The marked tests of faults that were seen in real use, each with the rows that it shows."""
    found: dict[Shown, list[str]] = {}
    for name, tests in marks().items():
        if REAL.fullmatch(name):
            for test in tests:
                found.setdefault(test, []).append(name)
    return dict(sorted(found.items()))


def mended_at(revision: str, project: Path = PROJECT) -> set[str]:
    """The rows that the catalogue of ``revision`` has as mended; none where it has no catalogue."""
    name = f"{revision}:{CATALOGUE.relative_to(PROJECT).as_posix()}"
    found = subprocess.run(["git", "show", name], cwd=project, check=False, capture_output=True)
    if found.returncode != 0:
        return set()
    return {
        row.id
        for table in read_tables(tomllib.loads(found.stdout.decode("utf-8")))
        for row in table.rows
        if REAL.fullmatch(row.id) and not row.is_open
    }


def against(revision: str, tests: Mapping[Shown, Sequence[str]]) -> bool:
    """Whether every one of ``tests`` fails on ``revision``, but for rows that it has as mended; says so of each."""
    before = mended_at(revision)
    tests = {test: ids for test, ids in tests.items() if not before.issuperset(ids)}
    if before:
        print(f"mended on {revision} already: {', '.join(sorted(before))}", flush=True)
    with tempfile.TemporaryDirectory(prefix="hpm-faults-") as place:
        tree = Path(place) / "tree"
        export(revision, tree)
        python = environment(Path(place) / "venv", tree)
        results = run(tree, python, {test.path for test in tests})
    if results.unread == [NOTHING]:
        print(f"what all tests need cannot be imported on {revision}: take a later one", file=sys.stderr)
        return False
    good = True
    for test, ids in tests.items():
        for case, how in sorted(of_test(test.node_id, results).items()):
            print(f"{', '.join(ids):6} {case.rpartition('/')[2]}: {how}", flush=True)
            good = good and how == MUST
    return good


def export(revision: str, tree: Path) -> None:
    """The files of ``revision`` at ``tree``, with the tests of this tree in the place of its own."""
    tree.mkdir()
    archive = tree.with_suffix(".tar")
    subprocess.run(
        ["git", "archive", "--format=tar", "-o", archive, f"{revision}^{{commit}}"], cwd=PROJECT, check=True
    )
    shutil.unpack_archive(archive, tree, filter="data")
    shutil.rmtree(tree / "tests", ignore_errors=True)
    shutil.copytree(TESTS, tree / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tree)


def environment(venv: Path, tree: Path) -> Path:
    """A virtual environment with all that is installed in ours, but with the package of ``tree``; its Python.

    Whatever a test starts by ``sys.executable``, or from beside it, is of that tree too, in any environment.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    ours = sysconfig.get_paths()["purelib"]
    theirs = Path(ours.replace(sys.prefix, str(venv), 1))
    # A directory that a .pth file adds is no site directory: our own .pth, which names this tree, is not read.
    (theirs / "hpm-faults.pth").write_text(f"{tree}\n{ours}\n", encoding="utf-8")
    for program in Path(sys.prefix, "bin").iterdir():
        copy = venv / "bin" / program.name
        if not os.path.lexists(copy):
            _copy_program(program, copy, python)
    shipped = tree / "bin" / "hpm"
    if shipped.exists():
        _copy_program(shipped, venv / "bin" / "hpm", python)
    return python


def _copy_program(program: Path, copy: Path, python: Path) -> None:
    head, newline, rest = program.read_bytes().partition(b"\n")
    if head in (b"#!python", *(f"#!{sys.prefix}/bin/{name}".encode() for name in ("python", "python3"))):
        copy.write_bytes(f"#!{python}".encode() + newline + rest)
        copy.chmod(0o755)
    else:
        copy.symlink_to(program)


@dataclass(frozen=True, slots=True)
class Results:
    """``cases``: node id → how it ended; ``unread``: the files that could not be imported, or NOTHING was."""

    cases: Mapping[str, str]
    unread: Sequence[str]


def run(tree: Path, python: Path, files: Iterable[str], jobs: int = 2) -> Results:
    """How the tests of mended faults in ``files`` end in ``tree``.

    Files, not tests: pytest runs nothing at all if it is given a test that it does not find.
    """
    report = tree.with_suffix(".json")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environ["PATH"] = f"{python.parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    subprocess.run(
        [
            *(
                python,
                "-m",
                "pytest",
                "-q",
                "--no-header",
                "--tb=line",
                "-p",
                "no:cacheprovider",
                "-n",
                str(jobs),
            ),
            *("-p", "tests.faults.outcomes", f"--outcomes={report}", "--continue-on-collection-errors"),
            *sorted(files),
        ],
        cwd=tree,
        env=environ,
        stdout=sys.stderr,
        check=False,
    )
    if not report.exists():
        return Results({}, [NOTHING])
    found = json.loads(report.read_text(encoding="utf-8"))
    return Results(found["cases"], found["unread"])


def of_test(node_id: str, results: Results) -> dict[str, str]:
    """Each case of a test → how it ended on the other revision."""
    cases = {
        case: how for case, how in results.cases.items() if case == node_id or case.startswith(f"{node_id}[")
    }
    if cases:
        return {case: SAID[how] for case, how in cases.items()}
    unread = any(node_id.startswith(name) for name in results.unread)
    return {node_id: NOT_IMPORTED if unread else NOT_RUN}


SAID = {"failed": MUST, "error": SET_UP, "passed": PASSES, "skipped": SKIPPED}
