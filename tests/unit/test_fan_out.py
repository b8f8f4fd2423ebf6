"""`fan_out`: which agents a declaration makes, what they are called, and what is refused where it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools import names
from hpm_tools.config.entries import convert_entries
from hpm_tools.config.model import Configuration
from hpm_tools.fan_out import fan_out
from tests.support.frontends import invoke


def called(sessions: list[dict[str, Any]]) -> list[str]:
    return [session["agent_id"] for session in sessions]


def test_each_value_of_a_list_has_its_agents() -> None:
    assert fan_out(role=["backend_dev", "qa"], level="senior") == [
        {"agent_id": "backend_dev_001", "role": "backend_dev", "level": "senior"},
        {"agent_id": "qa_001", "role": "qa", "level": "senior"},
    ]


def test_several_lists_give_every_combination_the_first_ones_together() -> None:
    made = fan_out(role=["backend_dev", "qa"], level=["junior", "senior"], agent_id="{level}_{role}")
    assert called(made) == ["junior_backend_dev", "senior_backend_dev", "junior_qa", "senior_qa"]


def test_patterns_are_one_more_option_to_combine() -> None:
    made = fan_out(role=["backend_dev", "qa"], agent_id=["day_{role}", "night_{role}"])
    assert called(made) == ["day_backend_dev", "night_backend_dev", "day_qa", "night_qa"]


def test_so_many_of_each_are_numbered_among_those_of_one_name() -> None:
    assert called(fan_out(role=["backend_dev", "qa"], count=2)) == [
        "backend_dev_001", "backend_dev_002", "qa_001", "qa_002"
    ]  # fmt: skip
    assert called(fan_out(role=["backend_dev", "qa"], agent_id="night{n}", count=2)) == [
        "night1", "night2", "night3", "night4"
    ]  # fmt: skip
    assert called(fan_out(role="qa", level=["junior", "senior"])) == ["qa_001", "qa_002"]


def test_agents_may_be_named_one_by_one() -> None:
    made = fan_out(role="backend_dev", agent_id=("ada", "grace"), max_tasks=3, hooks_dir=Path("hooks"))
    assert made == [
        {"agent_id": name, "role": "backend_dev", "max_tasks": 3, "hooks_dir": "hooks"}
        for name in ("ada", "grace")
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"role": "tester"}, "role must be one of backend_dev, .*, not 'tester'"),
        ({"role": ["qa", "Qa"]}, "role must be one of .*, not 'Qa'"),
        ({"role": None}, "role has no value"),
        ({"role": "qa", "level": 3}, "level must be text, not 3"),
        ({"role": "qa", "max_tasks": 0}, "max_tasks must be between 1 and"),
        ({"role": "qa", "count": 0}, "count must be a whole number from 1 on, not 0"),
        ({"role": "qa", "count": "2"}, "count must be a whole number from 1 on, not '2'"),
        ({"role": "qa", "agent_id": "qa", "count": 2}, "two agents would be called 'qa': .* as in 'qa_{n:03}'"),
        ({"role": "qa", "agent_id": ["x", "x"]}, "two agents would be called 'x'"),
        ({"role": "qa", "agent_id": "{rôle}"}, "unknown field 'rôle'; there are {role}, {n}"),
        ({"role": "qa", "agent_id": "{level}_1"}, "unknown field 'level'; there are {role}, {n}"),
        ({"role": "qa", "agent_id": "{role"}, "no pattern of str.format"),
        ({"role": "qa", "agent_id": "{}"}, "no pattern of str.format"),
        ({"role": "qa", "agent_id": "{role.x}"}, "no pattern of str.format"),
        ({"role": "qa", "agent_id": "the {role}"}, "agent_id 'the qa' has a character that is not allowed"),
    ],
)  # fmt: skip
def test_what_the_setting_would_refuse_is_refused_here(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fan_out(**options)


def test_an_unknown_option_is_a_wrong_call() -> None:
    with pytest.raises(TypeError, match="lvl"):
        fan_out(role="qa", lvl="senior")  # type: ignore[call-arg]


@given(
    role=st.lists(st.sampled_from(names.ROLES), unique=True),
    level=st.none() | st.lists(st.sampled_from(names.LEVELS), unique=True),
    count=st.integers(1, 12),
)
def test_whatever_it_makes_the_setting_takes(role: list[str], level: list[str] | None, count: int) -> None:
    made = fan_out(role=role, level=level, count=count)
    entries = convert_entries(Configuration._fields["sessions"], made, base="/")
    assert len(entries) == len(made) == len(role) * (1 if level is None else len(level)) * count


def test_a_tasks_file_imports_it_beside_the_tasks(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "from invoke import Collection, task\n"
        "from hpm_tools.tasks import fan_out, sessions\n"
        "@task\n"
        "def declared(c):\n"
        "    print(*(s['agent_id'] for s in c.config.hpm.sessions))\n"
        "ns = Collection(declared, sessions)\n"
        "ns.configure({'hpm': {'sessions': fan_out(role=['backend_dev', 'qa'])}})\n"
    )
    done = invoke("declared", project=tmp_path)
    assert (done.returncode, done.stdout) == (0, "backend_dev_001 qa_001\n"), done.stderr
