"""Figures as Prometheus reads them, through prometheus_client.

All are gauges over the window that was asked for (``hpm_window_seconds``): events are deleted in time, so that
nothing here could count upwards for ever.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from hpm_tools.events.figures import Figures, Spread, Work

    Values = Iterable[tuple[tuple[str, ...], float | None]]
    """Values of a metric's labels, and its value; None where there is none."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(figures: Figures) -> str:
    """The figures in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(figures))
    return generate_latest(registry).decode()


class _Collector:
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        found = self._figures
        if found.since is not None:
            yield _one("hpm_window_seconds", "The time that these figures are of.", found.until - found.since)
        yield from _work("hpm", found.work, {})
        if found.by:
            for name, work in found.groups.items():
                yield from _work(f"hpm_by_{found.by}", work, {found.by: name})
        yield _spreads("hpm_step_seconds", "How long steps took.", "step", found.steps)
        yield _gauge("hpm_hook_runs", "Runs of hooks.", ("hook", "result"), _hook_runs(found))
        hooks = {name: hook.seconds for name, hook in found.hooks.items()}
        yield _spreads("hpm_hook_seconds", "How long hooks took.", "hook", hooks)
        board = found.board
        answered: Values = [(("ok",), board.calls - board.failed), (("failed",), board.failed)]
        yield _gauge("hpm_board_calls", "Calls of the board.", ("result",), answered)
        response: Values = [(("0.5",), board.median), (("0.95",), board.p95), (("1",), board.slowest)]
        yield _gauge("hpm_board_response_seconds", "How quickly the board answers.", ("quantile",), response)
        yield _one("hpm_locks", "Tasks that are held now.", found.locks.count)
        yield _gauge(
            "hpm_lock_age_seconds", "How long they have been held.", ("quantile",), _quantiles(found.locks)
        )
        yield _one("hpm_limit_waits", "Waits for usage limits.", found.limit_waits)
        yield _one("hpm_limit_wait_seconds", "Time that agents waited for usage limits.", found.limit_seconds)
        yield _one("hpm_events_lost", "Events that could not be written down.", found.events_lost)


def _hook_runs(found: Figures) -> Values:
    for name, hook in found.hooks.items():
        yield (name, "ok"), hook.ok
        yield (name, "failed"), hook.failed


def _work(prefix: str, work: Work, labels: Mapping[str, str]) -> Iterator[Metric]:
    def of(name: str, text: str, values: Values, *more: str) -> Metric:
        given = (((*labels.values(), *key), value) for key, value in values)
        return _gauge(f"{prefix}_{name}", text, (*labels, *more), given)

    def one(name: str, text: str, value: float | None) -> Metric:
        return of(name, text, [((), value)])

    endings, verdicts = work.endings.items(), work.verdicts.items()
    yield of("takes", "Takes of tasks that ended.", (((name,), count) for name, count in endings), "ending")
    yield of("verdicts", "The same by verdict.", (((name,), count) for name, count in verdicts), "verdict")
    yield one("success_ratio", "Finished among finished and parked.", work.success_rate)
    yield of("take_seconds", "From a task's lock to its end.", _quantiles(work.seconds), "quantile")
    mean = work.attempts.total / work.attempts.count if work.attempts.count else None
    yield one("attempts_per_take", "Agent runs for each take, on average.", mean)
    yield one("agent_runs", "Agent runs.", work.agent_runs)
    yield one("agent_turns", "Turns of agents.", work.turns)
    tokens = asdict(work.tokens).items()
    yield of("tokens", "Tokens that agents used.", (((kind,), count) for kind, count in tokens), "kind")
    yield one("cost_usd", "US dollars that agents cost.", work.usd)
    yield one("cost_per_finished_usd", "The same divided by the finished takes.", work.usd_per_finished)


def _one(name: str, text: str, value: float) -> Metric:
    return _gauge(name, text, (), [((), value)])


def _gauge(name: str, text: str, labels: Iterable[str], values: Values) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    for key, value in values:
        if value is not None:
            family.add_metric(list(key), value)
    return family


def _spreads(name: str, text: str, label: str, spreads: Mapping[str, Spread]) -> Metric:
    values = (
        ((key, *quantile), value) for key, spread in spreads.items() for quantile, value in _quantiles(spread)
    )
    return _gauge(name, text, (label, "quantile"), values)


def _quantiles(spread: Spread) -> Values:
    return [(("0.5",), spread.median), (("0.95",), spread.p95), (("1",), spread.longest)]
