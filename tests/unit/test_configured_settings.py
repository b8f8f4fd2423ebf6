"""What a tasks.py brings: ns.configure, and the file beside it. Most of it counts once `invoke trust` has shown it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import hpm, invoke
from tests.support.settings_shop import PLAIN, by, configure, make_shop, shown

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest


@pytest.fixture
def shop(tmp_path: Path, exact_board: BoardUnderTest, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_shop(tmp_path, exact_board, monkeypatch)


def test_a_free_setting_of_ns_configure_counts_and_is_the_weakest(shop: Path) -> None:
    configure(shop, role="qa", level="junior")
    (shop / "invoke.yaml").write_text("hpm: {level: senior}\n")
    found = shown(by("invoke", shop, "health", "--json"))
    assert found["role"] == {"value": "qa", "source": f"ns.configure (tasks in {shop})"}
    assert found["level"] == {"value": "senior", "source": str(shop / "invoke.yaml")}
    assert shown(by("hpm", shop, "health", "--json"))["role"]["source"] == "default"


def test_other_settings_of_ns_configure_count_once_they_are_approved(shop: Path) -> None:
    configure(shop, claude={"allow": ["Bash(make:*)"]})
    done = by("invoke", shop, "health", "--json")
    assert shown(done)["claude.allow"]["value"] == []
    assert f"is not trusted, so it does not set claude.allow; to approve it: invoke trust --repo {shop}" in (
        done.stdout
    )
    done = by("invoke", shop, "trust", "--repo", str(shop), "--json")
    assert "Bash(make:*)" in done.stderr
    assert json.loads(done.stdout)["changed"]
    assert not json.loads(by("invoke", shop, "trust", "--json").stdout)["changed"]
    done = by("invoke", shop, "health", "--json")
    assert shown(done)["claude.allow"] == {
        "value": ["Bash(make:*)"], "source": f"ns.configure (tasks in {shop})"
    }  # fmt: skip
    assert "not trusted" not in done.stdout


def test_a_change_of_what_was_approved_is_refused_until_it_is_approved_or_withdrawn(shop: Path) -> None:
    configure(shop, claude={"allow": ["Bash(make:*)"]})
    assert by("invoke", shop, "trust").returncode == 0
    configure(shop, claude={"allow": ["Bash"]})
    done = by("invoke", shop, "hooks.list")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines() == [
        f"error: ns.configure (tasks in {shop}) changed since it was trusted",
        f"  look at it, then: invoke trust --repo {shop}",
    ]
    assert by("hpm", shop, "hooks.list").returncode == 0
    assert by("hpm", shop, "trust", "--revoke").stdout == f"{shop} is no longer trusted\n"
    assert by("invoke", shop, "hooks.list").returncode == 0


def test_tasks_outside_the_repository_are_approved_by_their_directory(shop: Path, tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    configure(agents, claude={"allow": ["Bash(make:*)"]})
    assert invoke("trust", project=agents, cwd=shop).returncode == 0
    found = shown(invoke("health", "--json", project=agents, cwd=shop))["claude.allow"]
    assert found["source"] == f"ns.configure (tasks in {agents})"
    assert by("invoke", shop, "hooks.list").returncode == 0
    assert json.loads(invoke("trust", "--revoke", "--json", project=agents, cwd=shop).stdout)["changed"]


def test_two_collections_are_approved_one_after_the_other(shop: Path) -> None:
    (shop / "tasks.py").write_text(
        "from invoke import Collection\nfrom hpm_tools.tasks import health, trust\n"
        "ns = Collection()\n"
        "for name in ('one', 'two'):\n"
        "    group = Collection(name, health, trust)\n"
        "    group.configure({'hpm': {'claude': {'allow': [name]}}})\n"
        "    ns.add_collection(group)\n"
    )
    assert by("invoke", shop, "one.trust", "two.trust").returncode == 0
    for name in ("one", "two"):
        assert shown(by("invoke", shop, f"{name}.health", "--json"))["claude.allow"]["value"] == [name]


@pytest.mark.parametrize("section", ["x", ["level"], 3])
def test_what_is_no_mapping_in_ns_configure_is_a_problem(shop: Path, section: object) -> None:
    (shop / "tasks.py").write_text(f"{PLAIN}ns.configure({{'hpm': {section!r}}})\n")
    for words in (["hooks.list"], ["trust"]):
        done = by("invoke", shop, *words)
        assert (done.returncode, done.stdout) == (78, "")
        assert f"ns.configure (tasks in {shop}): hpm must be a mapping of settings" in done.stderr


def test_trust_of_a_python_file_in_the_repository_says_that_it_never_counts(shop: Path) -> None:
    (shop / "invoke.py").write_text("hpm = print('executed')\n")
    done = by("hpm", shop, "trust")
    assert (done.returncode, done.stdout) == (65, "")
    assert f"{shop}/invoke.py is never executed" in done.stderr
    assert hpm("hooks.list", "--repo", str(shop)).stdout.startswith("HOOK")


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """A directory with a tasks.py and an invoke.yaml outside the repository."""
    directory = tmp_path / "agents"
    directory.mkdir()
    (directory / "tasks.py").write_text(PLAIN)
    (directory / "invoke.yaml").write_text("hpm: {role: qa, level: junior, claude: {allow: [Bash]}}\n")
    return directory


def test_the_file_beside_a_tasks_py_elsewhere_is_held_to_the_same(shop: Path, agents: Path) -> None:
    """For Invoke it is the file of the project, for us not the repository's."""
    (shop / "invoke.yaml").write_text("hpm: {level: senior}\n")
    done = invoke("health", "--json", project=agents, cwd=shop)
    found = shown(done)
    assert found["role"] == {"value": "qa", "source": str(agents / "invoke.yaml")}
    assert found["level"] == {"value": "senior", "source": str(shop / "invoke.yaml")}
    assert found["claude.allow"]["value"] == []
    assert f"to approve it: invoke trust --repo {shop}" in done.stdout
    done = invoke("trust", "--repo", str(shop), "--json", project=agents, cwd=shop)
    assert (done.returncode, "Bash" in done.stderr) == (0, True)
    assert shown(invoke("health", "--json", project=agents, cwd=shop))["claude.allow"]["value"] == ["Bash"]
    (agents / "invoke.yaml").write_text("hpm: {claude: {allow: [Bash, Read]}}\n")
    done = invoke("hooks.list", project=agents, cwd=shop)
    assert done.stderr.splitlines() == [
        f"error: {agents}/invoke.yaml changed since it was trusted",
        f"  look at it, then: invoke trust --repo {shop}",
    ]


def test_the_file_in_a_worktree_of_the_repository_is_not_read_beside_it(shop: Path, tmp_path: Path) -> None:
    """An agent's worktree has its own copy of a committed tasks.py and invoke.yaml."""
    (shop / "invoke.yaml").write_text("hpm: {level: senior}\n")
    git = ["git", "-C", str(shop), "-c", "user.name=T", "-c", "user.email=t@example.invalid"]
    linked = tmp_path / "linked"
    for words in (["add", "."], ["commit", "-qm", "first"], ["worktree", "add", "-q", str(linked)]):
        subprocess.run([*git, *words], check=True)
    (linked / "invoke.yaml").write_text("hpm: {role: qa, claude: {allow: [Bash]}}\n")
    done = by("invoke", linked, "health", "--json")
    assert shown(done)["role"]["value"] is None
    assert "not trusted" not in done.stdout
