"""The tiers of tests and what tests need of the machine, on small suites of their own."""

from __future__ import annotations

import time

import pytest

from tests.support import needs
from tests.support.frontends import PROJECT
from tests.support.tiers import belongs

pytest_plugins = ("pytester",)

SUITE = """
import pytest

def test_quick(): pass

@pytest.mark.extended
@pytest.mark.parametrize("number", range(20))
def test_long(number): pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest('pytest_plugins = ("tests.support.tiers", "tests.support.needs")')
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\naddopts = ["--strict-markers", "-p", "no:randomly"]'
    )
    pytester.makepyfile(SUITE)
    return pytester


def test_the_default_tier_leaves_out_what_is_extended(suite: pytest.Pytester) -> None:
    suite.runpytest_inprocess("-m", "not extended").assert_outcomes(passed=1, deselected=20)


def test_five_fifths_are_all_that_is_extended(suite: pytest.Pytester) -> None:
    passed = [
        suite.runpytest_inprocess("--part", f"{part}/5").parseoutcomes()["passed"] for part in range(1, 6)
    ]
    assert sum(passed) == 20


def test_a_test_stays_in_its_part_whatever_is_added() -> None:
    assert [number for number in range(1, 6) if belongs("tests/unit/test_a.py::test_b[x]", number, 5)] == [1]


@pytest.mark.parametrize("text", ["0/5", "6/5", "2", "a/b", "-1/5"])
def test_no_part_of_a_whole_is_a_usage_error(suite: pytest.Pytester, text: str) -> None:
    assert suite.runpytest_inprocess(f"--part={text}").ret == pytest.ExitCode.USAGE_ERROR


def test_what_is_too_late_is_left_out_and_named(suite: pytest.Pytester) -> None:
    result = suite.runpytest_inprocess("--not-after", str(time.time() - 1))
    result.assert_outcomes(skipped=21)
    result.stdout.fnmatch_lines(["*21 tests were left out*", "*::test_long?19?", "*::test_quick"])


def test_what_is_in_time_is_not_left_out(suite: pytest.Pytester) -> None:
    suite.runpytest_inprocess("--not-after", str(time.time() + 3600)).assert_outcomes(passed=21)


def test_ci_requires_only_what_can_be_looked_for() -> None:
    lines = (PROJECT / ".ci" / "require").read_text(encoding="utf-8").splitlines()
    required = dict(line.split(": ", 1) for line in lines if not line.startswith("#"))
    assert required.keys() == {"test", "all"}
    assert {name for names in required.values() for name in names.split()} <= needs.PROBES.keys()


NEEDY = """
import pytest

@pytest.mark.needs("fish")
def test_fish(): pass
"""


def test_what_is_missing_skips_its_tests_with_the_reason(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(needs.PROBES, "fish", lambda: "it swam away")
    needs.missing.cache_clear()
    suite.makepyfile(NEEDY)
    result = suite.runpytest_inprocess("-rs")
    needs.missing.cache_clear()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*NOT TESTED, needs fish: it swam away*"])


@pytest.mark.parametrize("required", ["fish", "root, fish", "no-such-thing"])
def test_what_is_required_and_missing_fails_before_a_test_starts(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str
) -> None:
    monkeypatch.setitem(needs.PROBES, "root", lambda: "")
    monkeypatch.setitem(needs.PROBES, "fish", lambda: "it swam away")
    monkeypatch.setenv("HPM_REQUIRE", required)
    needs.missing.cache_clear()
    result = suite.runpytest_inprocess()
    needs.missing.cache_clear()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*HPM_REQUIRE names what does not work here: *"])
