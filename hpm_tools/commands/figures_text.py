"""Figures for a person at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.text import counted, duration, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpm_tools.events.figures import Evidence, Figures, Spread, Work

NONE = "-"


def text(found: Figures) -> str:
    """What `metrics` prints."""
    parts = [_summary(found)]
    if found.by:
        parts.append(_groups(found, found.by))
    if found.steps:
        rows = [(name, spread.count, *_seconds(spread)) for name, spread in found.steps.items()]
        parts.append(table(rows, ("STEP", "DONE", "MEDIAN", "P95", "LONGEST")))
    if found.hooks:
        hooks = [
            (name, hook.ok, hook.failed, share(hook.success_rate), *_seconds(hook.seconds))
            for name, hook in found.hooks.items()
        ]
        parts.append(table(hooks, ("HOOK", "OK", "FAILED", "SUCCESS", "MEDIAN", "P95", "LONGEST")))
    return "\n\n".join(parts)


def evidence_text(found: Sequence[Evidence]) -> str:
    """How tasks of each difficulty fared with each model."""
    if not found:
        return "no task has been worked here yet"
    rows = [
        (
            row.difficulty,
            row.model,
            row.finished,
            row.parked,
            dollars(row.median_usd),
            NONE if row.median_minutes is None else f"{row.median_minutes:.1f}",
        )
        for row in found
    ]
    return table(rows, ("DIFFICULTY", "MODEL", "FINISHED", "PARKED", "MEDIAN USD", "MEDIAN MINUTES"))


def _summary(found: Figures) -> str:
    rows = list(_lines(found))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def _lines(found: Figures) -> Iterator[tuple[str, str]]:
    work, board = found.work, found.board
    yield "tasks", f"{work.ended} ended" + _listed(work.endings)
    if work.verdicts:
        yield "verdicts", ", ".join(f"{count} {_words(name)}" for name, count in work.verdicts.items())
    yield "success", share(work.success_rate)
    yield "duration", _spread(work.seconds)
    yield "attempts", f"{_mean(work.attempts)} per task, most {work.attempts.longest or 0:.0f}"
    tokens = work.tokens
    yield (
        "agents",
        f"{counted(work.agent_runs, 'run')}, {counted(work.turns, 'turn')}, {duration(work.agent_seconds.total)}",
    )
    yield (
        "tokens",
        f"{tokens.input:,} in, {tokens.output:,} out, {tokens.cache_read:,} from cache, {tokens.cache_write:,} to cache",
    )
    yield "cost", f"{dollars(work.usd)} USD, {dollars(work.usd_per_finished)} per finished task"
    if board.calls:
        quick = ", ".join(
            f"{name} {value * 1000:.0f} ms"
            for name, value in (("median", board.median), ("p95", board.p95), ("slowest", board.slowest))
            if value is not None
        )
        yield "board", f"{board.calls} calls, {board.failed} failed, {quick}"
    if found.locks.count:
        yield "locks", f"{found.locks.count} held now, the oldest for {duration(found.locks.longest or 0.0)}"
    if found.limit_waits:
        yield "limits", f"{found.limit_waits} waits, {duration(found.limit_seconds)}"
    if found.events_lost:
        yield "lost", f"{found.events_lost} events could not be written down"


def _groups(found: Figures, by: str) -> str:
    rows = [(name, *_group(work)) for name, work in found.groups.items()]
    return table(
        rows,
        (
            by.upper(),
            "TASKS",
            "FINISHED",
            "NO CHANGE",
            "PARKED",
            "SUCCESS",
            "MEDIAN",
            "P95",
            "RUNS",
            "TURNS",
            "USD",
            "USD/FIN.",
        ),
        width=None,
    )


def _group(work: Work) -> tuple[object, ...]:
    return (
        work.ended,
        work.finished,
        work.no_change,
        work.endings.get("parked", 0),
        share(work.success_rate),
        _time(work.seconds.median),
        _time(work.seconds.p95),
        work.agent_runs,
        work.turns,
        dollars(work.usd),
        dollars(work.usd_per_finished),
    )


def share(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"


def dollars(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}" if value >= 1 else f"{value:.4f}"


def _seconds(spread: Spread) -> tuple[str, str, str]:
    return _time(spread.median), _time(spread.p95), _time(spread.longest)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    return f"{seconds:.2f} s" if seconds < 10 else duration(seconds)


def _spread(spread: Spread) -> str:
    return f"median {_time(spread.median)}, p95 {_time(spread.p95)}, longest {_time(spread.longest)}"


def _mean(spread: Spread) -> str:
    return f"{spread.total / spread.count:.1f}" if spread.count else "0"


def _listed(counts: dict[str, int]) -> str:
    return ": " + ", ".join(f"{count} {_words(name)}" for name, count in counts.items()) if counts else ""


def _words(name: str) -> str:
    return name.replace("_", " ")
