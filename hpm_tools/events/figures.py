"""From events to figures: pure functions, shared by everything that shows a figure, so that none can disagree.

A *take* is what one agent did with a task from its lock to its end: a task that a maker finishes and qa then
accepts was taken twice. A take is *finished* when its work was reported to the board; what was reported as needing
no change is counted by itself, as neither a success nor a failure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hpm_tools.events.tally import NO_CHANGE, HookRun, Run, Take, Tally, number
from hpm_tools.meter import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hpm_tools.events.store import Stored

GROUPS = ("role", "agent", "model", "difficulty", "verdict")
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Spread:
    """``total``, ``median``, ``p95`` and ``longest`` of ``count`` amounts; the last three None without any."""

    count: int = 0
    total: float = 0.0
    median: float | None = None
    p95: float | None = None
    longest: float | None = None

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        ordered = sorted(values)
        if not ordered:
            return cls()
        return cls(len(ordered), sum(ordered), quantile(ordered, 0.5), quantile(ordered, 0.95), ordered[-1])


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens of agent runs; ``input`` is what was neither read from a cache nor written to it."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What became of takes, and what the agent runs cost.

    ``no_change``: reported without any work. ``success_rate``: finished among finished and parked; None without
    either. ``attempts``: agent runs of each take. ``seconds``: from lock to end. ``usd`` is all that was spent,
    ``usd_per_finished`` that divided by the finished takes, ``usd_of_finished`` what each finished take cost by
    itself.
    """

    ended: int = 0
    finished: int = 0
    no_change: int = 0
    endings: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    success_rate: float | None = None
    seconds: Spread = field(default_factory=Spread)
    attempts: Spread = field(default_factory=Spread)
    agent_runs: int = 0
    agent_seconds: Spread = field(default_factory=Spread)
    turns: int = 0
    tokens: TokenCounts = field(default_factory=TokenCounts)
    usd: float = 0.0
    usd_per_finished: float | None = None
    usd_of_finished: Spread = field(default_factory=Spread)


@dataclass(frozen=True, slots=True)
class HookFigures:
    """``ok`` and ``failed`` runs of one hook; ``seconds`` of each; ``failed_file`` is the one that failed last."""

    ok: int
    failed: int
    success_rate: float
    seconds: Spread
    failed_file: str | None


@dataclass(frozen=True, slots=True)
class BoardFigures:
    """Answers of the board; quantiles are estimated from ``within`` (counts up to each of meter.BOUNDS)."""

    calls: int = 0
    failed: int = 0
    seconds: float = 0.0
    median: float | None = None
    p95: float | None = None
    slowest: float | None = None
    within: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened between ``since`` (None: as far back as is known) and ``until``, in Unix seconds.

    ``locks``: how long the tasks that are held now have been held. ``limit_seconds``: how long agents waited
    for usage limits. ``groups``: ``work`` once more, for each value of ``by``.
    """

    by: str | None
    since: float | None
    until: float
    work: Work
    groups: dict[str, Work]
    steps: dict[str, Spread]
    hooks: dict[str, HookFigures]
    board: BoardFigures
    locks: Spread
    limit_waits: int
    limit_seconds: float
    events_lost: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How tasks of one difficulty fared with one model; medians of the finished ones, None where unknown."""

    difficulty: str
    model: str
    finished: int
    parked: int
    median_usd: float | None
    median_minutes: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the sorted values that at least ``share`` of them do not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def figures(
    events: Iterable[Stored],
    *,
    now: float,
    since: float | None = None,
    by: str | None = None,
    lock_ages: Iterable[float] = (),
) -> Figures:
    """The figures of ``events``: oldest first, at least those of READ. ``lock_ages``: of the tasks held now."""
    seen = Tally()
    for event in events:
        seen.add(event)
    return of_tally(seen, now=now, since=since, by=by, lock_ages=lock_ages)


def of_tally(
    seen: Tally,
    *,
    now: float,
    since: float | None = None,
    by: str | None = None,
    lock_ages: Iterable[float] = (),
) -> Figures:
    """The figures of what ``seen`` was given so far."""
    takes, runs = list(seen.takes.values()), seen.runs
    return Figures(
        by=by,
        since=since,
        until=now,
        work=_work(takes, runs),
        groups=_grouped(takes, runs, by) if by else {},
        steps={name: Spread.of(values) for name, values in sorted(seen.steps.items())},
        hooks={name: _hook(ran) for name, ran in sorted(seen.hooks.items())},
        board=_board(seen.calls),
        locks=Spread.of(lock_ages),
        limit_waits=len(seen.waits) + len(seen.waiting),
        limit_seconds=sum(seen.waits)
        + sum(max(0.0, min(now, until) - at) for at, until in seen.waiting.values()),
        events_lost=seen.lost,
    )


def evidence(events: Iterable[Stored]) -> list[Evidence]:
    """What is known of each difficulty and model, by difficulty."""
    seen = Tally()
    for event in events:
        seen.add(event)
    groups: dict[tuple[str, str], list[Take]] = defaultdict(list)
    for take in seen.takes.values():
        if take.model:
            groups[take.difficulty or UNKNOWN, take.model].append(take)
    return [_evidence(*key, takes) for key, takes in sorted(groups.items())]


def _evidence(difficulty: str, model: str, takes: Sequence[Take]) -> Evidence:
    finished = [take for take in takes if take.finished]
    minutes = Spread.of(take.seconds / 60 for take in finished).median
    usd = Spread.of(take.usd for take in finished if take.usd is not None).median
    parked = sum(take.ending == "parked" for take in takes)
    return Evidence(difficulty, model, len(finished), parked, usd, minutes)


def _grouped(takes: Sequence[Take], runs: Sequence[Run], by: str) -> dict[str, Work]:
    key: Callable[[object], str] = lambda item: str(getattr(item, by) or UNKNOWN)  # noqa: E731
    names = sorted({*map(key, takes), *map(key, runs)})
    return {
        name: _work([take for take in takes if key(take) == name], [run for run in runs if key(run) == name])
        for name in names
    }


def _work(takes: Sequence[Take], runs: Sequence[Run]) -> Work:
    endings = _counts(take.ending for take in takes)
    finished = [take for take in takes if take.finished]
    judged = len(finished) + endings.get("parked", 0)
    usd = sum(run.usd for run in runs)
    return Work(
        ended=len(takes),
        finished=len(finished),
        no_change=endings.get(NO_CHANGE, 0),
        endings=endings,
        verdicts=_counts(take.verdict or UNKNOWN for take in takes),
        success_rate=len(finished) / judged if judged else None,
        seconds=Spread.of(take.seconds for take in takes),
        attempts=Spread.of(take.attempts for take in takes),
        agent_runs=len(runs),
        agent_seconds=Spread.of(run.seconds for run in runs),
        turns=sum(run.turns for run in runs),
        tokens=TokenCounts(*(sum(kind) for kind in zip(*(run.tokens for run in runs), strict=True))),
        usd=usd,
        usd_per_finished=usd / len(finished) if finished else None,
        usd_of_finished=Spread.of(take.usd for take in finished if take.usd is not None),
    )


def _hook(ran: Sequence[HookRun]) -> HookFigures:
    failed = [one for one in ran if not one.ok]
    ok = len(ran) - len(failed)
    spread = Spread.of(one.seconds for one in ran)
    return HookFigures(ok, len(failed), ok / len(ran), spread, failed[-1].path if failed else None)


def _board(told: Sequence[Mapping[str, Any]]) -> BoardFigures:
    if not told:
        return BoardFigures()
    within = [0] * (len(BOUNDS) + 1)
    for counts in told:
        for place, count in enumerate(counts.get("within", ())[: len(within)]):
            within[place] += count
    slowest = max(number(counts.get("slowest")) for counts in told)
    return BoardFigures(
        calls=sum(int(number(counts.get("count"))) for counts in told),
        failed=sum(int(number(counts.get("failed"))) for counts in told),
        seconds=sum(number(counts.get("seconds")) for counts in told),
        median=_estimated(within, 0.5, slowest),
        p95=_estimated(within, 0.95, slowest),
        slowest=slowest,
        within=within,
    )


def _estimated(within: Sequence[int], share: float, slowest: float) -> float | None:
    """A quantile from counts: straight between the two bounds that it lies between, never above ``slowest``."""
    total = sum(within)
    if not total:
        return None
    sums = [sum(within[: place + 1]) for place in range(len(within))]
    place = bisect_left(sums, share * total)
    low = BOUNDS[place - 1] if place else 0.0
    high = BOUNDS[place] if place < len(BOUNDS) else slowest
    below = sums[place - 1] if place else 0
    return min(slowest, low + (high - low) * (share * total - below) / within[place])


def _counts(names: Iterable[str]) -> dict[str, int]:
    counted: dict[str, int] = defaultdict(int)
    for name in names:
        counted[name] += 1
    return dict(sorted(counted.items()))
