"""The Invoke namespace: every hpm-tools command, and the developer's tasks of this project."""

import sys

# `invoke` switches bytecode off before it loads this file, which makes every later start a third slower.
sys.dont_write_bytecode = False

import subprocess  # noqa: E402
from pathlib import Path  # noqa: E402

from invoke.context import Context  # noqa: E402
from invoke.exceptions import Exit  # noqa: E402
from invoke.tasks import task  # noqa: E402

from hpm_tools.cli.invoke_tasks import namespace  # noqa: E402

ROOT = Path(__file__).resolve().parent
PYTHON = Path(sys.executable)
DOCS = ROOT / "docs"
SCHEMAS = DOCS / "schemas"
SHELL_TESTS = ROOT / "tests" / "integration" / "shell" / "run_all_tests.sh"
CHECKED = ["hpm_tools", "hooks", "tests", "tasks.py"]


def passes(*argv: str | Path) -> bool:
    """Run a program of the virtual environment in the project's directory; True if it succeeded."""
    words = [str(word) for word in argv]
    print("$ " + " ".join(words), file=sys.stderr, flush=True)
    return subprocess.run(words, cwd=ROOT, check=False).returncode == 0


def shell_files() -> list[Path]:
    """Every shell script of the project, seen from its directory."""
    found = [path for top in ("tests", "examples", "hooks") for path in sorted((ROOT / top).rglob("*.sh"))]
    packaged = [*(ROOT / "hpm_tools").rglob("*.sh"), *(ROOT / "hpm_tools").rglob("*.bash")]
    return [Path("inv"), Path(".ci", "run"), *(path.relative_to(ROOT) for path in (*packaged, *found))]


def generated() -> dict[Path, str]:
    """The text of every file that is made from the registry."""
    from hpm_tools.cli.docs import commands_page
    from hpm_tools.cli.schemas import schema_files

    schemas = {SCHEMAS / name: text for name, text in schema_files().items()}
    return {DOCS / "commands.md": commands_page(), **schemas}


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


def end(failed: list[str]) -> None:
    if failed:
        raise Exit(f"failed: {', '.join(failed)}", code=1)


def lint_failures() -> list[str]:
    types = [word for word in CHECKED if (ROOT / word).exists()]
    stages = {
        "ruff check": lambda: passes(PYTHON, "-m", "ruff", "check"),
        "ruff format": lambda: passes(PYTHON, "-m", "ruff", "format", "--check"),
        "mypy": lambda: passes(PYTHON, "-m", "mypy", *types),
        "shellcheck": lambda: passes(PYTHON.parent / "shellcheck", "-x", *shell_files()),
        "docs": docs_are_current,
    }
    return [name for name, run in stages.items() if not run()]


@task(positional=[], auto_shortflags=False)
def lint(_context: Context) -> None:
    """Style, types, shell scripts, and whether what is made from the registry is up to date."""
    end(lint_failures())


@task(positional=[], auto_shortflags=False)
def test(_context: Context) -> None:
    """All checks: lint, the Python tests, then the shell tests."""
    failed = lint_failures()
    if not passes(PYTHON, "-m", "pytest", "-q", "-n", "4"):
        failed.append("pytest")
    if not passes("bash", SHELL_TESTS):
        failed.append("shell tests")
    end(failed)


@task(positional=[], auto_shortflags=False)
def docs(_context: Context) -> None:
    """Write docs/commands.md and docs/schemas from the registry."""
    wanted = generated()
    SCHEMAS.mkdir(exist_ok=True)
    for path in set(SCHEMAS.iterdir()) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


@task(
    positional=[],
    auto_shortflags=False,
    help={
        "seed": "repeats an earlier campaign's random choices",
        "cases": "only so many of all cases, drawn by the seed (there are thousands)",
        "short": "a kill at every failpoint and one other fault each, as the tests do",
        "report": "where the report goes, as JSON",
    },
)
def campaign(
    _context: Context, seed: str = "", cases: str = "", short: bool = False, report: str = "campaign.json"
) -> None:
    """Every fault at every failpoint of every scenario, then promises broken on purpose; prints a report."""
    chosen = ["--seed", seed] if seed else []
    chosen += ["--cases", cases] if cases else []
    failed = []
    form = ["--short"] if short else []
    if not passes(PYTHON, "-m", "tests.campaign", *form, *chosen, "--report", report):
        failed.append("campaign")
    if not passes(PYTHON, "-m", "tests.campaign", "--mutants"):
        failed.append("mutants")
    end(failed)


@task(
    positional=[],
    auto_shortflags=False,
    help={"minutes": "how long runners, agents and the board are killed", "seed": "repeats an earlier soak"},
)
def soak(_context: Context, minutes: float = 10.0, seed: str = "") -> None:
    """Twelve runners on 200 tasks while runners, agents and the board are killed at random."""
    chosen = ["--seed", seed] if seed else []
    if not passes(PYTHON, "-m", "tests.campaign.soak", "--minutes", str(minutes), *chosen):
        end(["soak"])


@task(
    positional=[],
    auto_shortflags=False,
    iterable=["only"],
    help={"only": "this part alone; may be repeated", "quick": "everything once: no figures to rely on"},
)
def bench(_context: Context, only: list[str] | None = None, quick: bool = False) -> None:
    """How fast commands and runner are, beside what they cannot do without; compared with the last run."""
    chosen = [word for name in only or [] for word in ("--only", name)]
    if not passes(PYTHON, "-m", "tests.bench", *chosen, *(["--quick"] if quick else [])):
        end(["bench"])


@task(positional=[], auto_shortflags=False)
def screenshots(_context: Context) -> None:
    """Take the pictures in docs/images anew, in a real Chromium."""
    if not passes(PYTHON, "-m", "tests.screenshots"):
        end(["screenshots"])


ns = namespace(lint, test, docs, campaign, soak, bench, screenshots)
