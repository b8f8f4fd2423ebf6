"""Names and ids: what is accepted is safe as a path, an argument and a URL; everything else is refused."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpm_tools import names
from hpm_tools.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "-x",
    "--help",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a b",
    "a\x1b[31m",
    "x" * 65,
    "x" * 4096,
    "a..b",
    "a.",
    ".a",
    "_a",
    "café",
    "cafe\u0301",
    "\u202eevil",
    "a\u200bb",
    "🦀",
    "\uff41",
    "\ud800",
]


@pytest.mark.parametrize("text", ["a", "dev_001", "A.b-c_d", "9", "x" * 64, "qa.2"])
def test_agent_ids_that_are_accepted(text: str) -> None:
    assert names.agent_id(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_agent_ids_that_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        names.agent_id(text)
    assert caught.value.hint
    assert str(caught.value).replace("…", "").isascii()


@pytest.mark.fault("names-hostile")
@given(st.text())
@example("a" * 64)
def test_an_accepted_agent_id_is_one_path_component_and_needs_no_quoting(text: str) -> None:
    if accepted(names.agent_id, text):
        assert os.path.basename(os.path.normpath(f"/d/{text}")) == text
        assert quote(text, safe="") == text
        assert not text.startswith("-")
        assert len(text.encode()) <= 64


@pytest.mark.parametrize(("text", "number"), [("1", 1), (1, 1), ("007", 7), (2**63 - 1, 2**63 - 1)])
def test_task_ids_that_are_accepted(text: str | int, number: int) -> None:
    assert names.task_id(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        0,
        -1,
        "-1",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x1",
        "\u0661",
        "²",
        "1_0",
        2**63,
        str(2**63),
        "9" * 5000,
        True,
    ],
)
def test_task_ids_that_are_refused(text: str | int) -> None:
    with pytest.raises(UsageError):
        names.task_id(text)


@given(st.text() | st.integers())
def test_a_task_id_is_a_positive_63_bit_number_or_refused(text: str | int) -> None:
    if accepted(names.task_id, text):
        assert 0 < names.task_id(text) < 2**63


@pytest.mark.parametrize(
    "text",
    [
        "main",
        "feature/task-1",
        "a@b",
        "größe",
        "x" * 200,
        "feature/HEAD",
        "a-",
        "1.0",
        "HEAD_START",
        "tags",
        "my/tags/v1",
    ],
)
def test_branches_that_are_accepted(text: str) -> None:
    assert names.branch(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "-x",
            "--force",
            "HEAD",
            "@",
            "a..b",
            "a@{1}",
            "a.lock",
            "a.lock/b",
            ".a",
            "a/.b",
            "a//b",
            "/a",
            "a/",
        ),
        *(
            "a.",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "a\x7f",
            "a\nb",
            "a\0",
            "a\x1b[0m",
            "x" * 201,
        ),
        *(
            "FETCH_HEAD",
            "ORIG_HEAD",
            "NEW_HEAD",
            "AUTO_MERGE",
            "refs/heads/main",
            "tags/v1",
            "Heads/x",
            "remotes/o/x",
        ),
        *("é" * 101, "a\u202eb", "a\u200bb", "\ud800", "a\u00a0b", "0" * 40, "deadBEEF" * 5, "f" * 64),
    ],
)
def test_branches_that_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        names.branch(text)
    assert str(caught.value).replace("…", "").isascii()


branch_like = st.text(
    alphabet=st.sampled_from("ab./-@{}~^:?*[\\ é\x01\x7fHEAD"), min_size=1, max_size=12
) | st.text(min_size=1, max_size=20)


@pytest.mark.fault("names-hostile")
@given(st.lists(branch_like, min_size=1, max_size=30))
def test_git_accepts_every_branch_that_we_accept(candidates: list[str]) -> None:
    ours = [text for text in candidates if accepted(names.branch, text)]
    for text in ours[:3]:
        answer = subprocess.run(
            ["git", "check-ref-format", "--branch", text], capture_output=True, encoding="utf-8", check=False
        )
        assert (answer.returncode, answer.stdout) == (0, text + "\n"), answer.stderr


@pytest.mark.parametrize("text", ["pre_task", "post-task", "health_check", "x" * 64])
def test_hook_names_that_are_accepted(text: str) -> None:
    assert names.hook_name(text) == text


@pytest.mark.parametrize("text", ["", "Pre", "a.py", "../a", "a/b", "x" * 65, "a b", "é"])
def test_hook_names_that_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        names.hook_name(text)


@pytest.mark.parametrize("seconds", [-1, names.LONGEST_WAIT + 1, 10**20])
def test_a_wait_that_no_clock_can_count_is_refused(seconds: int) -> None:
    assert [names.wait(some) for some in (0, names.LONGEST_WAIT)] == [0, names.LONGEST_WAIT]
    with pytest.raises(UsageError, match="not possible"):
        names.wait(seconds)


@pytest.mark.parametrize("number", [0, -1])
def test_no_tasks_to_do_is_no_order(number: int) -> None:
    assert names.task_count(1) == 1
    with pytest.raises(UsageError, match="--max-tasks must be 1 or more, not "):
        names.task_count(number)


@pytest.mark.parametrize(
    ("check", "valid"),
    [(names.role, names.ROLES), (names.level, names.LEVELS), (names.status, names.STATUSES)],
)
def test_choices_are_taken_as_they_are_and_errors_list_them_all(
    check: Callable[[str], str], valid: tuple[str, ...]
) -> None:
    assert [check(name) for name in valid] == list(valid)
    for wrong in ("", valid[0].upper(), valid[0] + " ", "nonsense\x1b[2J"):
        with pytest.raises(UsageError) as caught:
            check(wrong)
        assert all(name in caught.value.hint for name in valid)
        assert "\x1b" not in str(caught.value)


@given(
    st.one_of(st.none(), st.binary(), st.lists(st.text()), st.floats(), st.dictionaries(st.text(), st.text()))
)
def test_values_of_other_types_are_refused_as_usage_errors(value: object) -> None:
    checks: list[Callable[[Any], object]] = [names.agent_id, names.task_id, names.branch, names.hook_name]
    for check in checks:
        with pytest.raises(UsageError):
            check(value)


@given(st.text())
def test_what_an_error_shows_is_short_and_harmless(text: str) -> None:
    shown = names.shown(text)
    assert len(shown) <= 41
    assert shown.replace("…", "").isascii()
    assert shown.isprintable()


def accepted(check: Callable[..., object], value: object) -> bool:
    try:
        check(value)
    except UsageError:
        return False
    return True
