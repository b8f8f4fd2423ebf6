"""What a run cost, whichever way its CLI counts."""

from __future__ import annotations

import pytest

from hpm_tools.executor.cost import PRICES, Cost, dollars, price, settle, sum_of_models


def series(version: str, totals: list[float | None], since: list[float | None] | None = None) -> list[Cost]:
    """The costs of the runs of one session that reported these totals, one after the other."""
    costs: list[Cost] = []
    for number, total in enumerate(totals):
        previous = costs[-1].session if costs else 0.0
        costs.append(
            settle(
                total=total,
                since_last=since[number] if since else None,
                version=version,
                resumed=number > 0,
                previous=previous,
                estimate=0.5,
            )
        )
    return costs


def spent(costs: list[Cost]) -> float:
    return sum(cost.invocation or 0.0 for cost in costs)


def test_totals_of_each_invocation() -> None:
    assert spent(series("2.1.240", [0.007, 0.007, 0.007])) == pytest.approx(0.021)
    assert spent(series("2.1.197", [0.007, 0.020, 0.001])) == pytest.approx(0.028)


@pytest.mark.fault("session-cost")
def test_totals_of_the_session() -> None:
    costs = series("2.1.330", [0.007, 0.014, 0.030])
    assert [cost.invocation for cost in costs] == pytest.approx([0.007, 0.007, 0.016])
    assert costs[-1].session == 0.030


def test_a_total_that_falls_is_no_total_of_the_session() -> None:
    assert spent(series("2.1.300", [0.030, 0.007])) == pytest.approx(0.037)


def test_what_the_cli_says_of_this_invocation_goes_first() -> None:
    assert series("2.1.330", [0.007, 0.014], [0.007, 0.003])[1].invocation == 0.003


def test_a_run_that_reported_nothing_is_estimated() -> None:
    costs = series("2.1.330", [0.1, None, 0.9])
    assert costs[1] == Cost(0.5, 0.6, estimated=True)
    assert costs[2].invocation == pytest.approx(0.3)
    nothing = settle(total=None, since_last=None, version="", resumed=False, previous=0.0, estimate=None)
    assert nothing == Cost(None, 0.0, estimated=True)


def test_prices() -> None:
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}
    assert price("claude-sonnet-5-5", usage, 0) == 2.0
    assert price("a-model-of-tomorrow", usage, 0) == max(PRICES.values())[0]
    cached = {"cache_read_input_tokens": 1_000_000, "cache_creation_input_tokens": 1_000_000}
    assert price("claude-opus-5-5", cached, 0) == pytest.approx(4 * 1.35)
    assert price("claude-opus-5-5", {}, 3500) == pytest.approx(1000 * 20 / 1e6)
    assert price("sonnet", {"input_tokens": -5, "output_tokens": "many"}, 0) == 0.0


def test_amounts() -> None:
    assert [dollars(value) for value in (0, 1.5, -1, True, "1", None, float("nan"), 1e12)] == [
        0.0, 1.5, None, None, None, None, None, None,
    ]  # fmt: skip
    assert sum_of_models({"a": {"costUSD": 1}, "b": {"costUSD": "x"}, "c": 1}) == 1.0
    assert sum_of_models({}) == 0.0
    assert sum_of_models(None) is None
