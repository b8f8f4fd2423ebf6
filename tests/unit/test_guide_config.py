"""Config() reads the environment and the files, and finds roles, key and CLI, as the guide says of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools import Config
from hpm_tools.config import ConfigProblems, load_config
from hpm_tools.errors import Misconfigured, UsageError

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.fixture
def here(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.chdir(repo.root)
    return repo


def program(path: Path) -> Path:
    """A program that says that it is a Claude CLI, of a version to come."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho '9.0.0 (Claude Code)'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_config_without_arguments_reads_environment_and_files(
    here: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADLESS_PM_API_URL", "http://localhost:7070")
    monkeypatch.setenv("API_KEY_HEADLESS_PM", "the-key")
    monkeypatch.setenv("HEADLESS_PM_CLAUDE_TIMEOUT", "900")
    state = Path.home() / ".headless-pm"
    state.mkdir(mode=0o700)
    (state / "config.yaml").write_text("claude_timeout: 60\nhook_timeout: 12\n", encoding="utf-8")
    config = Config()
    assert (config.api_url, config.api_key) == ("http://localhost:7070", "the-key")
    assert (config.claude_timeout, config.hook_timeout, config.repo) == (900, 12, str(here.root))
    assert vars(config) == vars(load_config())
    assert "the-key" not in repr(config)


def test_arguments_count_before_the_environment(
    here: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADLESS_PM_CLAUDE_TIMEOUT", "900")
    config = Config(claude_timeout=30, role="qa", roles_dir=tmp_path)
    assert (config.claude_timeout, config.role, config.roles_dir) == (30, "qa", str(tmp_path))
    other = config.replace(role="pm")
    assert (type(other), other.role, other.claude_timeout, config.role) == (Config, "pm", 30, "qa")
    with pytest.raises(AttributeError):
        config.role = "pm"  # type: ignore[misc]


def test_home_says_where_the_operators_file_is(here: Repo, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "config.yaml").write_text("role: architect\n", encoding="utf-8")
    config = Config(home=state)
    assert (config.home, config.role) == (str(state), "architect")


def test_wrong_settings_raise_what_is_wrong(here: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="'colour' is not a setting"):
        Config(colour="red")
    with pytest.raises(UsageError, match="claude-timeout"):
        Config(claude_timeout="soon")
    monkeypatch.setenv("HEADLESS_PM_CLAUDE_TIMEOUT", "soon")
    with pytest.raises(ConfigProblems, match="HEADLESS_PM_CLAUDE_TIMEOUT"):
        Config()


def test_claude_cli_is_the_configured_one_or_the_first_that_serves(
    here: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = program(Path.home() / ".local" / "bin" / "claude")
    monkeypatch.setenv("PATH", os.defpath)
    assert Config().claude_cli == found
    other = program(tmp_path / "other" / "claude")
    assert Config(claude_path=other).claude_cli == other
    with pytest.raises(Misconfigured, match="does not exist"):
        _ = Config(claude_path=tmp_path / "none").claude_cli


def test_role_instructions_are_found_where_a_runner_finds_them(here: Repo) -> None:
    built_in = Config().role_instructions("qa")
    assert built_in.built_in
    assert built_in.path.parent == Config().team_roles_dir
    here.write({"team_roles/qa.md": "Test twice.\n", "team_roles/qa_junior.md": "Test thrice.\n"})
    assert Config().team_roles_dir == here.root / "team_roles"
    assert Config().role_instructions("qa").text.strip() == "Test twice."
    assert Config().role_instructions("qa", "junior").path == here.root / "team_roles" / "qa_junior.md"
    named = Config(roles_dir=here.root / "elsewhere")
    with pytest.raises(Misconfigured, match="does not exist"):
        named.role_instructions("qa")
    with pytest.raises(UsageError, match="wizard"):
        Config().role_instructions("wizard")
