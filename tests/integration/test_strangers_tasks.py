"""A tasks.py by somebody who knows Invoke and nothing of us, through stock `invoke`: it does what its author expects.

tests/support/strangers_tasks/tasks.py is that file. It stands alone in its repository, or below the lines that
`hpm init` writes there. Its author's settings are in ~/.invoke.yaml.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from invoke.context import Context

from hpm_tools import registry
from hpm_tools.tasks import lock, locks
from tests.support.strangers_shop import WITH_AND_WITHOUT_INIT, Shop

if TYPE_CHECKING:
    from tests.support.runners import Desk

OWN = {"clean", "build", "ship", "migrate", "book", "grab", "night", "run", "sessions"}
AGENTS = {"agents.take", "agents.give-back"}
TAKE = ("agents.take", "--agent-id", "dev_007", "--task-id", "7", "--local")
GIVE_BACK = ("agents.give-back", "--agent-id", "dev_007", "--local")


@pytest.fixture
def shop(desk: Desk, init: bool) -> Shop:
    return Shop(desk, init=init)


@WITH_AND_WITHOUT_INIT
def test_every_task_is_listed_under_the_name_it_was_given(shop: Shop) -> None:
    printed = "\n".join(shop.prints("--list"))
    names = set(re.findall(r"^  (\S+)", printed, re.MULTILINE))
    ours = {f"hpm.{name}" for name in registry.MODULES}
    places = {
        name.replace("worktree.", "places.") for name in registry.MODULES if name.startswith("worktree.")
    }
    assert names == OWN | AGENTS | places | ours
    assert re.search(r"^  build \(make\) +Build the shop\.$", printed, re.MULTILINE)
    assert re.search(r"^  agents.take \(agents\) +Take a task for an agent", printed, re.MULTILINE)


@WITH_AND_WITHOUT_INIT
def test_help_says_what_one_may_give(shop: Shop) -> None:
    assert "--to=STRING" in (own := "\n".join(shop.prints("--help", "ship")))
    assert "the stage" in own
    take = "\n".join(shop.prints("--help", "agents.take"))
    assert take.startswith("Usage: inv[oke] [--core-opts] agents.take ")
    assert re.search(r"--agent-id=\S+ +.*\(required\)", re.sub(r"\n {3,}", " ", take))
    assert re.search(r"--task-id=INT", take)
    run = re.sub(r"\s+", " ", "\n".join(shop.prints("--help", "run")))
    assert all(word in run for word in ("backend_dev, frontend_dev", "example", "--max-tasks=INT"))


@WITH_AND_WITHOUT_INIT
def test_ones_own_tasks_are_done_once_and_in_order(shop: Shop) -> None:
    assert shop.prints("ship", "--to", "prod", "clean") == ["clean", "build dist", "ship to prod"]
    assert shop.prints("build", "make") == ["clean", "build dist"]
    assert shop.prints("--no-dedupe", "build", "make") == ["clean", "build dist"] * 2
    assert (shop.desk.repo / "dist").is_dir()


@WITH_AND_WITHOUT_INIT
def test_each_call_of_a_command_is_made(shop: Shop) -> None:
    first, given_back, second, again = shop.prints(*TAKE, *GIVE_BACK, *TAKE, *GIVE_BACK)
    assert (given_back, again) == ("7", "7")
    assert first != second
    assert shop.prints("ship", "hpm.locks", "--json")[-1] == '{"locks": []}'


@WITH_AND_WITHOUT_INIT
def test_a_groups_default_task_and_an_unknown_option_are_invokes(shop: Shop) -> None:
    (token,) = shop.prints("agents", *TAKE[1:])
    assert shop.prints(*TAKE) == [token]
    assert shop.held() == {"dev_007": 7}
    done = shop.invoke("agents.take", "--no-such-option")
    assert done.returncode != 0
    assert "--no-such-option" in done.stderr
    assert "Traceback" not in done.stderr


@WITH_AND_WITHOUT_INIT
def test_a_command_before_and_after_a_task_of_ones_own(shop: Shop) -> None:
    token, own, given_back = shop.prints("migrate")
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert (own, given_back) == ("migrate [1]", "1")
    assert shop.held() == {}


@WITH_AND_WITHOUT_INIT
def test_a_call_returns_what_the_command_found_and_prints_nothing(shop: Shop) -> None:
    assert shop.prints("book") == ["booked 3"]
    assert shop.held() == {"dev_001": 3}


@WITH_AND_WITHOUT_INIT
def test_the_commands_own_exception_can_be_caught(shop: Shop) -> None:
    shop.prints("book")
    assert shop.prints("book", "--number", "4") == ["busy: agent dev_001 already holds task 3"]


@WITH_AND_WITHOUT_INIT
def test_what_nobody_catches_ends_invoke_with_the_commands_code_and_no_traceback(shop: Shop) -> None:
    done = shop.invoke("grab", "clean")
    assert (done.returncode, done.stdout) == (75, "")
    message, hint = done.stderr.splitlines()
    assert message == "error: agent dev_001 already holds task 1"
    assert "hpm unlock --agent-id dev_001" in hint


@WITH_AND_WITHOUT_INIT
def test_a_failing_command_before_a_task_keeps_it_from_running(shop: Shop) -> None:
    shop.prints("agents.take", "--agent-id", "migrator", "--task-id", "2", "--local")
    done = shop.invoke("migrate", "clean")
    assert (done.returncode, done.stdout) == (75, "")
    assert shop.held() == {"migrator": 2}


@WITH_AND_WITHOUT_INIT
def test_a_wrong_value_is_an_error_of_use_that_names_the_option(shop: Shop) -> None:
    for words, option in (
        (("--task-id", "seven", "--agent-id", "a"), "--task-id"),
        (("--task-id", "7"), "--agent-id"),
        (("--task-id", "7", "--agent-id", "a", "--role", "boss"), "--role"),
    ):
        done = shop.invoke("agents.take", "--local", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert option in done.stderr.splitlines()[0]
    assert shop.held() == {}


@WITH_AND_WITHOUT_INIT
def test_dry_changes_nothing(shop: Shop) -> None:
    done = shop.invoke("--dry", *TAKE)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--dry" in done.stderr
    assert shop.held() == {}
    assert shop.prints("--dry", "hpm.locks", "--json") == ['{"locks": []}']
    assert "rm -rf dist" in "".join(shop.prints("--dry", "clean"))


@WITH_AND_WITHOUT_INIT
def test_echo_shows_on_stderr_what_a_command_calls(shop: Shop) -> None:
    words = ("places.add", "--task-id", "5", "hpm.pm.tasks")
    loud = shop.invoke("--echo", *words)
    quiet = shop.invoke(*words)
    assert (loud.returncode, loud.stdout, quiet.stderr) == (0, quiet.stdout, "")
    assert re.search(r"\bgit\b.* worktree add ", loud.stderr)
    assert f"GET {shop.desk.board.url}/api/v1/tasks" in loud.stderr


@pytest.mark.parametrize(
    ("keywords", "named"),
    [
        ({"agent_id": "dev_001", "task": 3}, "task"),
        ({"agent_id": "dev_001", "task_id": "3"}, "task_id"),
        ({"agent_id": "dev_001", "task_id": 3, "force": "yes"}, "force"),
        ({"agent": "dev_001", "task_id": 3}, "agent"),
        ({"task_id": 3}, "agent_id"),
    ],
    ids=[
        "a number for text",
        "text for a number",
        "text for a switch",
        "an unknown keyword",
        "a missing one",
    ],
)
def test_a_call_with_wrong_keywords_is_a_type_error(keywords: dict[str, Any], named: str) -> None:
    with pytest.raises(TypeError, match=rf"\b{named}\b"):
        lock(Context(), local=True, **keywords)
    assert locks(Context()) == {"locks": []}


BESIDE = '''
from invoke import task


@task
def deploy(c):
    """Deploy it."""
    print("deployed")


@task(pre=[deploy])
def health(c):
    """Whether the shop is well."""
    print("the shop is well")
'''


def test_a_task_written_beside_what_init_writes_is_found(desk: Desk) -> None:
    place = Shop(desk, BESIDE, init=True)
    assert place.prints("health", "deploy") == ["deployed", "the shop is well"]
    printed = "\n".join(place.prints("--list"))
    assert set(re.findall(r"^  (\S+)", printed, re.MULTILINE)) == {"deploy", *registry.MODULES}
    assert re.search(r"^  health +Whether the shop is well\.$", printed, re.MULTILINE)
