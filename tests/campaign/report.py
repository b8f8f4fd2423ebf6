"""What a campaign tried and what it found, for a reader who was not there."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from hpm_tools.failpoints import FAULTS
from tests.campaign.catalogue import SCENARIOS
from tests.campaign.invariants import INVARIANTS
from tests.campaign.points import PACKAGE, all_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.campaign.cases import Case, Outcome

Facts = dict[str, Any]
UNKNOWN = "unknown"


def report(
    outcomes: Sequence[Outcome],
    possible: Sequence[Case],
    missing: Mapping[str, str],
    *,
    seed: int,
    seconds: float,
) -> Facts:
    """Everything that was played, by failpoint, fault, scenario and board, with what was checked each time.

    ``possible`` are the cases that could have been played, ``missing`` the failpoints that nothing reaches.
    """
    faults = Counter(outcome.case.fault.kind for outcome in outcomes if outcome.case.fault)
    checked = Counter(name for outcome in outcomes for name in outcome.checked)
    return {
        "tested": tested(),
        "seed": seed,
        "seconds": round(seconds, 1),
        "cases": len(outcomes),
        "failed": sum(not outcome.ok for outcome in outcomes),
        "possible": len(possible),
        "faults": {kind: faults[kind] for kind in FAULTS},
        "boards": Counter(outcome.case.mode for outcome in outcomes),
        "invariants": {
            name: {"says": first_line(check), "checked": checked[name]} for name, check in INVARIANTS.items()
        },
        "failpoints": _by_point(outcomes, possible),
        "scenarios": _by_scenario(outcomes),
        "unreached": dict(missing),
        "results": [outcome.to_json() for outcome in outcomes],
    }


def tested() -> dict[str, str]:
    """What the campaign ran on."""
    commit = _said("git", "rev-parse", "HEAD")
    changed = commit != UNKNOWN and _said("git", "status", "-s") != ""
    return {
        "commit": commit + (", changed" if changed else ""),
        "git": _said("git", "--version"),
        "python": sys.version.split()[0],
        "machine": platform.platform(),
    }


def _said(*argv: str) -> str:
    done = subprocess.run(argv, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else UNKNOWN


def _by_point(outcomes: Sequence[Outcome], possible: Sequence[Case]) -> dict[str, dict[str, Any]]:
    times = Counter(case.fault.point for case in possible if case.fault and case.fault.kind == FAULTS[0])
    played: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        if outcome.case.fault is not None:
            played[outcome.case.fault.point][outcome.case.fault.kind] += 1
            played[outcome.case.fault.point]["failed"] += not outcome.ok
    return {
        point: {
            "where": where,
            "times": times[point],
            **{kind: played[point][kind] for kind in (*FAULTS, "failed")},
        }
        for point, where in sorted(all_points().items())
    }


def _by_scenario(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    cases = Counter(outcome.case.scenario for outcome in outcomes)
    failed = Counter(outcome.case.scenario for outcome in outcomes if not outcome.ok)
    return {
        name: {
            "cases": cases[name],
            "failed": failed[name],
            "also_checked": first_line(scenario.check) if scenario.check else None,
        }
        for name, scenario in SCENARIOS.items()
        if cases[name]
    }


def first_line(check: object) -> str:
    return (check.__doc__ or "").partition("\n")[0]


def show(facts: Facts) -> str:
    """The report as a page; what failed comes last, where it is read first."""
    return "\n".join([*_points(facts), "", *_scenarios(facts), "", *_checks(facts), "", *_failures(facts)])


def _points(facts: Facts) -> Iterator[str]:
    yield f"{'FAILPOINT':24} {'TIMES':>6} " + " ".join(f"{kind:>7}" for kind in FAULTS) + "  WHERE"
    for point, row in facts["failpoints"].items():
        counts = " ".join(f"{row[kind] or '-':>7}" for kind in FAULTS)
        more = f" and {len(row['where']) - 1} more" if len(row["where"]) > 1 else ""
        yield f"{point:24} {row['times']:>6} {counts}  {row['where'][0]}{more}"
    yield "TIMES: how often all scenarios together come to it; the others: how many cases were played there."


def _scenarios(facts: Facts) -> Iterator[str]:
    yield f"{'SCENARIO':24} {'CASES':>6} {'FAILED':>7}  CHECKED BESIDES THE INVARIANTS"
    for name, row in facts["scenarios"].items():
        yield f"{name:24} {row['cases']:>6} {row['failed'] or '-':>7}  {row['also_checked'] or ''}".rstrip()


def _checks(facts: Facts) -> Iterator[str]:
    yield "checked after every case (times):"
    for row in facts["invariants"].values():
        yield f"  {row['checked']:>6}  {row['says']}"


def _failures(facts: Facts) -> Iterator[str]:
    for point, where in facts["unreached"].items():
        yield f"NOT REACHED: {point} ({where})"
    for result in facts["results"]:
        if result["problems"]:
            fault = result["fault"]
            again = f" --point {fault['point']} --fault {fault['kind']}" if fault else ""
            yield f"FAILED: --scenario {result['scenario']!r}{again} on the {result['board']} board"
            yield from (f"  {problem}" for problem in result["problems"])
    on = facts["tested"]
    yield f"{on['commit']}, {on['git']}, Python {on['python']}, {on['machine']}"
    yield (
        f"{facts['cases']} of {facts['possible']} possible cases, {facts['failed']} failed,"
        f" {len(facts['failpoints'])} failpoints, {len(facts['unreached'])} unreached,"
        f" seed {facts['seed']}, {facts['seconds']} s"
    )
