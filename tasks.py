"""The Invoke namespace: every hpm-tools command, and the developer's tasks of this project."""

import sys

# `invoke` switches bytecode off before it loads this file, which makes every later start a third slower.
sys.dont_write_bytecode = False

import os  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
from pathlib import Path  # noqa: E402

from invoke.context import Context  # noqa: E402
from invoke.exceptions import Exit  # noqa: E402
from invoke.tasks import task  # noqa: E402

from hpm_tools.cli.namespaces import namespace  # noqa: E402
from hpm_tools.config.locate import find_repository  # noqa: E402

ROOT = Path(__file__).resolve().parent


def run_part(module: str, *words: str) -> int:
    """Run a module of tests/, which says by itself what failed; its exit code.

    SIGTERM is passed on to it, and ends us once it has ended.
    """
    process = subprocess.Popen([sys.executable, "-m", module, *words], cwd=ROOT)
    ended = False

    def end_it(*_: object) -> None:
        nonlocal ended
        ended = True
        process.terminate()

    before = signal.signal(signal.SIGTERM, end_it)
    try:
        code = process.wait()
    except KeyboardInterrupt:  # the terminal's ^C, which the part has, too: let it tidy up
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    if ended:
        raise Exit(code=128 + signal.SIGTERM)
    return code


def words_after_dashes() -> list[str]:
    """What stands after `--`, word by word: the Context's ``remainder`` has lost which blanks belong to a word."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


def here() -> Path:
    """Where the caller is in this project; its top where he is elsewhere."""
    try:
        place = Path.cwd()
    except FileNotFoundError:  # the current directory is deleted
        return ROOT
    return place if place.is_relative_to(ROOT) else ROOT


def as_seen_from_here(path: str) -> str:
    """A path for a part, which runs at the project's top; "" and - as they are."""
    return path if path in ("", "-") else os.path.abspath(path)


def end(*codes: int) -> None:
    """End with the first exit code of a part that failed."""
    if failed := [code for code in codes if code]:
        raise Exit(code=failed[0])


@task(positional=[], auto_shortflags=False)
def lint(_context: Context) -> None:
    """Style, types, shell scripts, and whether what is made from the registry is up to date."""
    end(run_part("tests.suite", "lint"))


@task(
    name="test",
    positional=[],
    auto_shortflags=False,
    help={
        "all": "the extended tests, too: browsers, second front ends, the campaign's other faults",
        "fifth": "one fifth of what only --all runs: 1 to 5, or 0 for the one whose turn it is",
        "not-after": "leave out what has not begun by then (seconds since the epoch), and say so",
    },
)
def run_tests(
    _context: Context, all: bool = False, fifth: str | None = None, not_after: str | None = None
) -> None:
    """All checks: lint beside the Python tests, then the shell tests. `./inv test -- ARGS` is `pytest ARGS`."""
    chosen = {"--fifth": fifth, "--not-after": not_after}
    given = [f"{flag}={value}" for flag, value in chosen.items() if value is not None]
    given += ["--all"] if all else []
    for_pytest = words_after_dashes()
    given += [f"--cwd={here()}", "--", *for_pytest] if for_pytest else []
    end(run_part("tests.suite", "test", *given))


@task(positional=[], auto_shortflags=False)
def docs(_context: Context) -> None:
    """Write docs/commands.md and docs/schemas from the registry, and the tables of docs/reliability.md."""
    end(run_part("tests.suite", "docs"))


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
    form = ["--short"] if short else []
    played = run_part("tests.campaign", *form, *chosen, "--report", report)
    end(played, run_part("tests.campaign", "--mutants"))


@task(
    positional=[],
    auto_shortflags=False,
    help={
        "minutes": "how long runners, agents and the board are killed",
        "seed": "repeats an earlier soak",
        "shared-checkout": "instead: minor tasks in one checkout, whose runners are killed",
        "kills": "of that: how many runners are killed",
        "seeds": "of that: so many seeds from the given one, one after another",
    },
)
def soak(
    _context: Context,
    minutes: float = 10.0,
    seed: str = "",
    shared_checkout: bool = False,
    kills: int = 12,
    seeds: int = 1,
) -> None:
    """Twelve runners on 200 tasks while runners, agents and the board are killed at random."""
    chosen = ["--seed", seed] if seed else []
    program = ["tests.campaign.soak", "--minutes", str(minutes)]
    if shared_checkout:
        program = ["tests.campaign.shared_checkout", "--kills", str(kills), "--seeds", str(seeds)]
    end(run_part(*program, *chosen))


@task(
    positional=[],
    auto_shortflags=False,
    help={
        "count": "worlds to play",
        "seed": "seed of an earlier call, to play the same worlds; else a new one",
        "jobs": "worlds played at the same time; as many as there are processors",
        "row": "worlds drawn for this row of docs/reliability.md, such as C3",
        "play": "play the one world in this file, as JSON; - reads standard input",
        "keep": "directory in which failing worlds are kept, with all their logs",
        "report": "file for the results, as JSON",
        "shrink": "seconds for making each kind of failing world smaller (300); 0: do not",
        "rows": "list the rows that worlds can reach, and by what; play nothing",
        "choose": "print so many numbers for tests/worlds/chosen.py; play nothing",
    },
)
def worlds(  # noqa: PLR0917  Invoke passes options by name
    _context: Context,
    count: int = 20,
    seed: str = "",
    jobs: str = "",
    row: str = "",
    play: str = "",
    keep: str = "",
    report: str = "",
    shrink: str = "",
    rows: bool = False,
    choose: str = "",
) -> None:
    """Plays new worlds of repositories, hosts, agents, people and faults; makes what does not hold small."""
    files = {"play": play, "keep": keep, "report": report}
    chosen = {"seed": seed, "jobs": jobs, "row": row, "shrink": shrink, "choose": choose}
    chosen |= {name: as_seen_from_here(path) for name, path in files.items()}
    given = [f"--{name}={value}" for name, value in chosen.items() if value]
    end(run_part("tests.worlds", f"--count={count}", *given, *(["--rows"] if rows else [])))


@task(
    positional=[],
    auto_shortflags=False,
    iterable=["only"],
    help={"only": "this part alone; may be repeated", "quick": "everything once: no figures to rely on"},
)
def bench(_context: Context, only: list[str] | None = None, quick: bool = False) -> None:
    """How fast commands and runner are, beside what they cannot do without; compared with the last run."""
    chosen = [word for name in only or [] for word in ("--only", name)]
    end(run_part("tests.bench", *chosen, *(["--quick"] if quick else [])))


@task(positional=[], auto_shortflags=False)
def screenshots(_context: Context) -> None:
    """Take the pictures in docs/images anew, in a real Chromium."""
    end(run_part("tests.screenshots"))


@task(
    positional=[],
    auto_shortflags=False,
    help={"against": "a revision on which every test of a mended fault must fail; runs them there"},
)
def faults(_context: Context, against: str | None = None) -> None:
    """The faults that were found and whether they are mended, with the tests that show it."""
    end(run_part("tests.faults", *([f"--against={against}"] if against is not None else [])))


OWN = (lint, run_tests, docs, campaign, worlds, soak, bench, screenshots, faults)


def is_own_work() -> bool:
    """False in another repository, where somebody calls this checkout's `inv`: these are none of its tasks."""
    try:
        return find_repository(os.getcwd()) in (None, find_repository(str(ROOT)))
    except FileNotFoundError:  # the current directory is deleted
        return True


ns = namespace(*(OWN if is_own_work() else ()))
