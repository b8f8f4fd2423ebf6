"""Who is told what a command calls."""

from __future__ import annotations

from hpm_tools import trace


def test_the_last_listener_is_told_until_its_block_ends() -> None:
    first: list[str] = []
    second: list[str] = []
    with trace.heard_by(first.append):
        trace.tell("a")
        with trace.heard_by(second.append), trace.heard_by(None):
            trace.tell("b")
        trace.tell("c")
    assert (first, second) == (["a", "c"], ["b"])
    assert not trace.heard()


def test_blocks_of_two_threads_may_end_in_any_order() -> None:
    told: list[str] = []
    first, second = trace.heard_by(print), trace.heard_by(told.append)
    first.__enter__()
    second.__enter__()
    first.__exit__()
    second.__exit__()
    assert not trace.heard()
