"""What `./inv test` and `./inv lint` run: lint beside the Python tests, then the shell tests, and what that cost.

Tests are in two tiers (tests/support/tiers.py): `./inv test` runs all that are not marked ``extended``, `--all` those
too, and `--fifth` one fifth of what is marked, another one with each commit, as CI does after `./inv test`.

`./inv test -- ARGS` is `pytest ARGS` and nothing else: no tier, no lint, no shell tests, and pytest's own exit code.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(sys.executable)
DOCS = ROOT / "docs"
SCHEMAS = DOCS / "schemas"
SHELL_TESTS = ROOT / "tests" / "integration" / "shell" / "run_all_tests.sh"
CHECKED = ["hpm_tools", "hooks", "tests", "tasks.py"]
PARTS = 5
NO_TESTS = 5
"""pytest's exit code where nothing was left to run: no failure for a part."""


def run(*argv: str | Path, cwd: Path = ROOT) -> int:
    """Run a program in ``cwd`` and return its exit code; the line is shown on stderr.

    SIGTERM to the suite becomes SIGINT to the program: pytest then ends what its tests have started.
    """
    words = [str(word) for word in argv]
    print("$ " + shlex.join(words), file=sys.stderr, flush=True)
    process = subprocess.Popen(words, cwd=cwd)
    try:
        return process.wait()
    except BaseException as ended:
        if isinstance(ended, SystemExit):
            process.send_signal(signal.SIGINT)
        process.wait()
        raise


# -- lint


def shell_files() -> list[Path]:
    """Every shell script of the project, seen from its directory."""
    found = [path for top in ("tests", "examples", "hooks") for path in sorted((ROOT / top).rglob("*.sh"))]
    packaged = [*(ROOT / "hpm_tools").rglob("*.sh"), *(ROOT / "hpm_tools").rglob("*.bash")]
    ours = [path.relative_to(ROOT) for path in (*packaged, *found)]
    return [path for path in (Path("inv"), Path(".ci", "run"), *ours) if (ROOT / path).exists()]


def generated() -> dict[Path, str]:
    """Path → text of every file that is made from the registry, or from the catalogue of faults."""
    from hpm_tools.cli.docs import commands_page
    from hpm_tools.cli.schemas import schema_files
    from hpm_tools.cli.stubs import tasks_stub
    from tests.faults.page import page as reliability_page

    schemas = {SCHEMAS / name: text for name, text in schema_files().items()}
    pages = {DOCS / "commands.md": commands_page(), DOCS / "reliability.md": reliability_page()}
    return {**pages, **schemas, ROOT / "hpm_tools" / "tasks.pyi": tasks_stub()}


def docs_are_current() -> bool:
    wanted = generated()
    found = {
        path: path.read_text(encoding="utf-8") for path in [*wanted, *SCHEMAS.iterdir()] if path.exists()
    }
    stale = sorted(
        str(path.relative_to(ROOT))
        for path in wanted.keys() | found.keys()
        if wanted.get(path) != found.get(path)
    )
    if stale:
        print(f"out of date, ./inv docs writes them: {', '.join(stale)}", file=sys.stderr)
    return not stale


def write_docs() -> None:
    """Write docs/commands.md, docs/schemas and hpm_tools/tasks.pyi from the registry, and docs/reliability.md's tables."""
    wanted = generated()
    SCHEMAS.mkdir(exist_ok=True)
    for path in set(SCHEMAS.iterdir()) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


def lint() -> list[str]:
    """Run every check of style, types, shell scripts and generated docs; the names of those that failed."""
    stages: dict[str, Callable[[], bool]] = {
        "ruff check": lambda: run(PYTHON, "-m", "ruff", "check") == 0,
        "ruff format": lambda: run(PYTHON, "-m", "ruff", "format", "--check") == 0,
        "mypy": lambda: run(PYTHON, "-m", "mypy", *CHECKED) == 0,
        "shellcheck": lambda: run(PYTHON.parent / "shellcheck", "-x", *shell_files()) == 0,
        "docs": docs_are_current,
        "faults": lambda: run(PYTHON, "-m", "tests.faults", "--check") == 0,
    }
    return [name for name, passes in stages.items() if not passes()]


# -- tests


def selection(everything: bool, fifth: int | None, not_after: float | None) -> list[str]:
    """The words for pytest that choose a tier."""
    words = ["--part", f"{fifth}/{PARTS}"] if fifth else [] if everything else ["-m", "not extended"]
    if fifth or everything:
        words += ["--hypothesis-profile", "thorough"]
    return [*words, *(["--not-after", str(not_after)] if not_after is not None else [])]


def turn() -> int:
    """Which fifth has its turn: the number of commits chooses, so that each commit plays another one.

    In a shallow clone, where that number is always the same, the commit's own id chooses. Raises
    subprocess.CalledProcessError outside a git repository.
    """
    shallow = git("rev-parse", "--is-shallow-repository") == "true"
    number = int(git("rev-parse", "HEAD"), 16) if shallow else int(git("rev-list", "--count", "HEAD"))
    return number % PARTS + 1


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def python_tests(*words: str) -> bool:
    # Two on two cores: what tests wait for is nearly always the processor.
    workers = str(max(2, os.cpu_count() or 2))
    code = run(PYTHON, "-m", "pytest", "-q", "-n", workers, "--dist", "worksteal", *words)
    return code == 0 or (code == NO_TESTS and "--part" in words)


def pytest_alone(words: Sequence[str], cwd: Path) -> int:
    """Run pytest with exactly these words, which name paths as seen from ``cwd``; its exit code."""
    # Without -P, a module of ours would be taken for one of Python's in hpm_tools/, which has a trace.py, too.
    try:
        return run(PYTHON, "-P", "-m", "pytest", *words, cwd=cwd)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def suite(*words: str) -> list[str]:
    """Run lint beside the Python tests, then the shell tests; the names of the stages that failed."""
    failed = []
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(
            [PYTHON, "-m", "tests.suite", "lint"],
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not python_tests(*words):
                failed.append("pytest")
            if beside.wait() != 0:
                failed.append("lint")
        finally:
            if beside.poll() is None:  # ^C: mypy and the others end with it
                os.killpg(beside.pid, signal.SIGKILL)
            beside.wait()
        said.seek(0)
        sys.stdout.write(said.read().decode(errors="replace"))
        sys.stdout.flush()
    if run("bash", SHELL_TESTS) != 0:
        failed.append("shell tests")
    return failed


def cost(began: float) -> str:
    """What everything that this process started and waited for has cost, its own part included."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(usage.ru_utime + usage.ru_stime for usage in used)
    return f"{processor:,.0f} processor seconds in {time.monotonic() - began:,.0f} s"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.suite", description=__doc__)
    parser.add_argument("what", choices=["test", "lint", "docs"])
    tier = parser.add_mutually_exclusive_group()
    tier.add_argument("--all", action="store_true", dest="everything")
    tier.add_argument("--fifth", type=int, choices=range(PARTS + 1), help="0: the one whose turn it is")
    parser.add_argument("--not-after", type=float)
    parser.add_argument("--cwd", type=Path, default=ROOT, help="where the words after -- are meant")
    words = list(sys.argv[1:] if argv is None else argv)
    words, after = (
        (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    )
    given = parser.parse_args(words)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if given.what == "docs":
        write_docs()
        return 0
    if after:
        if given.everything or given.fifth is not None or given.not_after is not None:
            parser.error("beside words for pytest choose with its own options: --part 2/5, --not-after, -m")
        return pytest_alone(after, given.cwd)
    if given.what == "lint":
        failed = lint()
    elif given.fifth is None:
        failed = suite(*selection(given.everything, None, given.not_after))
    else:
        fifth = given.fifth or turn()
        print(f"fifth {fifth} of {PARTS} of the extended tests", flush=True)
        failed = [] if python_tests(*selection(False, fifth, given.not_after)) else ["pytest"]
    if given.what == "test":
        print(f"{'failed: ' + ', '.join(failed) if failed else 'all passed'}; {cost(began)}", flush=True)
    elif failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
