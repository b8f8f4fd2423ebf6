"""The arguments and settings that bound an agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import Misconfigured
from hpm_tools.executor import permissions

if TYPE_CHECKING:
    from pathlib import Path


def test_commands_and_rules_are_both_understood() -> None:
    given = ("npm test", "Bash(make:*)", "WebFetch", "mcp__tools__*", " ./gradlew check ", "npm test")
    assert permissions.allow_rules(given, git=True) == [
        *permissions.LEGACY_GIT,
        "Bash(npm test:*)",
        "Bash(make:*)",
        "WebFetch",
        "mcp__tools__*",
        "Bash(./gradlew check:*)",
    ]


@pytest.mark.parametrize("entry", ["", "  ", "make\nrm -rf /", "a\x1b[31m"])
def test_an_entry_that_is_no_rule(entry: str) -> None:
    with pytest.raises(Misconfigured):
        permissions.allow_rules([entry])


def test_secrets_are_denied_by_their_absolute_path(tmp_path: Path) -> None:
    assert permissions.deny_rules(["/srv/state"])[-1] == "Read(//srv/state/**)"
    file = tmp_path / "session.yaml"
    file.touch()
    assert permissions.deny_rules([file])[-1] == f"Read(/{file})"
    assert {"Read(//**/.env)", "Read(~/.invoke.*)"} <= set(permissions.deny_rules())


@pytest.mark.parametrize(
    ("tool", "given", "policy"),
    [
        ("Bash", {"command": "python3 headless_pm_client.py next"}, True),
        ("Bash", {"command": "cat ../.env | head"}, True),
        ("Bash", {"command": "source .env"}, True),
        ("Read", {"file_path": "/repo/.env"}, True),
        ("Read", {"file_path": "/home/u/.headless-pm/config.yaml"}, True),
        ("EnterWorktree", {}, True),
        ("Bash", {"command": "python3 -m pytest"}, False),
        ("Bash", {"command": "cat .env.example"}, False),
        ("Bash", {"command": "ls src/.environment prod.env"}, False),
        ("Bash", {"command": ["cat", ".env"]}, False),
    ],
)
def test_what_is_denied_on_purpose(tool: str, given: dict[str, object], policy: bool) -> None:
    assert permissions.denied_by_policy(tool, given) is policy


def test_modes() -> None:
    permissions.check_mode("acceptEdits", {})
    with pytest.raises(Misconfigured, match="unknown permission mode"):
        permissions.check_mode("yolo", {})
    permissions.check_mode("bypassPermissions", {"IS_SANDBOX": "1"})


@pytest.mark.needs("root")
def test_root_may_not_bypass() -> None:
    with pytest.raises(Misconfigured, match="root"):
        permissions.check_mode("bypassPermissions", {"IS_SANDBOX": "0"})


def test_sandbox_settings_name_only_what_exists(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("")
    settings = permissions.sandbox_settings(["example.org"], [tmp_path / ".env", tmp_path / "nothing"])
    assert settings["sandbox"]["filesystem"] == {"denyRead": [str(tmp_path / ".env")]}
    assert settings["sandbox"]["network"] == {"allowedDomains": ["example.org"]}
    assert settings["sandbox"]["allowUnsandboxedCommands"] is False
    assert "filesystem" not in permissions.sandbox_settings([], [])["sandbox"]


def test_arguments() -> None:
    def arguments(**facts: object) -> list[str]:
        given = {
            "mode": "acceptEdits",
            "allow": (),
            "secrets": (),
            "project_settings": False,
            "settings": {},
        }
        return permissions.permission_arguments(**{**given, **facts})  # type: ignore[arg-type]

    plain = arguments()
    assert plain[plain.index("--setting-sources") + 1] == "user"
    assert "--strict-mcp-config" in plain
    assert "--settings" not in plain
    assert "bypassPermissions" not in plain
    wide = arguments(project_settings=True, settings={"sandbox": {"enabled": True}})
    assert wide[wide.index("--setting-sources") + 1] == "user,project,local"
    assert json.loads(wide[wide.index("--settings") + 1]) == {"sandbox": {"enabled": True}}


@pytest.mark.parametrize(
    ("allow", "git"),
    [
        ((), "none"),
        (("npm test", "Bash(gitk:*)"), "none"),
        (("git",), "commit"),
        (("Bash(git:*)",), "commit"),
        (("Bash(git commit:*)", "git add"), "commit"),
        (("Bash(git status)",), "read"),
    ],
)
def test_outside_the_sandbox_an_agent_has_the_git_that_is_allowed_by_name(
    allow: tuple[str, ...], git: str
) -> None:
    assert permissions.git_allowed(allow) == git
