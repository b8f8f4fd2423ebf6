"""Precedence, types and limits of the settings, and every mistake named at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.config import ConfigProblems, Configuration, load_config
from hpm_tools.config.values import convert
from hpm_tools.errors import Misconfigured, Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def work(tmp_path: Path) -> Path:
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    (directory / ".git").mkdir(parents=True)
    return directory


@pytest.fixture
def load(home: Path, work: Path) -> Callable[..., Configuration]:
    """load_config in an environment of nothing but the state directory and what the test adds."""

    def loaded(environ: dict[str, str] | None = None, **options: Any) -> Configuration:
        return load_config(
            environ={"HEADLESS_PM_HOME": str(home), **(environ or {})}, **{"start_dir": work, **options}
        )

    return loaded


def test_defaults_are_those_of_the_contract(load: Callable[..., Configuration]) -> None:
    config = load()
    assert config.api_url == "http://localhost:6969"
    assert (config.hook_timeout, config.claude_timeout, config.task_timeout) == (30, 600, 7200)
    assert (config.health_check_interval, config.task_check_interval) == (300, 30)
    assert (config.task_budget_usd, config.max_attempts) == (10, 3)
    assert config.models == {"junior": "sonnet", "senior": "sonnet", "principal": "opus"}
    assert config.claude.allow == ()
    assert config.claude.sandbox == "auto"
    assert (config.executor, config.on_problem, config.repo, config.role) == ("claude", None, None, None)
    assert config.sources == {"home": "HEADLESS_PM_HOME"}


def test_the_strongest_place_wins(load: Callable[..., Configuration], home: Path, repository: Path) -> None:
    (repository / "invoke.yaml").write_text("hpm: {level: junior, role: qa, task_check_interval: 5}")
    (home / "config.yaml").write_text("{level: senior, role: pm, base_ref: next}")
    config = load({"HEADLESS_PM_LEVEL": "principal", "HEADLESS_PM_ROLE": "architect"}, flags={"level": "senior"},
                  repo=repository)  # fmt: skip
    assert (config.level, config.role, config.base_ref, config.task_check_interval) == (
        "senior",
        "architect",
        "next",
        5,
    )
    assert config.sources["level"] == "flag --level"
    assert config.sources["role"] == "HEADLESS_PM_ROLE"
    assert config.sources["base_ref"] == str(home / "config.yaml")
    assert config.sources["task_check_interval"] == str(repository / "invoke.yaml")


def test_all_problems_are_listed_at_once(load: Callable[..., Configuration], home: Path) -> None:
    (home / "config.yaml").write_text(
        "claude_timout: 5\nclaude: {sandbox: maybe, alow: []}\nmax_attempts: 1.5\nhook_timeout: true\n"
        "worktree: 3\nmodels: {expert: opus}\nhome: /x\nclaude.allow: text\n"
    )
    with pytest.raises(ConfigProblems) as caught:
        load({"HEADLESS_PM_TASK_TIMEOUT": "soon", "HEADLESS_PM_EXECUTOR": "gpt"})
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 11
    for part in (
        "unknown setting 'claude_timout' (did you mean claude_timeout?)",
        "claude.sandbox must be auto, true or false, not 'maybe'",
        "unknown setting 'claude.alow' (did you mean claude.allow?)",
        "max_attempts must be a whole number, not 1.5",
        "hook_timeout must be a number, not True",
        "worktree must be a mapping of settings",
        "models has the unknown key 'expert'",
        "home can only be set by HEADLESS_PM_HOME",
        "claude.allow must be a list of texts, not 'text'",
        "HEADLESS_PM_TASK_TIMEOUT: task_timeout must be a number, not 'soon'",
        "executor must be one of claude, command, not 'gpt'",
    ):
        assert part in problems
    assert caught.value.exit_code == 78
    assert caught.value.details["problems"] == caught.value.problems


def test_one_problem_reads_as_one_line(load: Callable[..., Configuration]) -> None:
    with pytest.raises(ConfigProblems) as caught:
        load({"HEADLESS_PM_HOOK_TIMEOUT": "0"})
    assert "\n" not in caught.value.message
    assert "between 0.1 and 86400" in caught.value.message


def test_a_wrong_flag_is_a_wrong_call(load: Callable[..., Configuration]) -> None:
    with pytest.raises(UsageError) as caught:
        load(flags={"claude_timeout": -1, "level": None})
    assert "--claude-timeout" in caught.value.message


def test_a_flag_that_is_no_setting_is_a_programming_error(load: Callable[..., Configuration]) -> None:
    with pytest.raises(TypeError, match="colour"):
        load(flags={"colour": "red"})


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("HEADLESS_PM_CLAUDE_SANDBOX", "auto", "claude.sandbox", "auto"),
        ("HEADLESS_PM_CLAUDE_SANDBOX", "false", "claude.sandbox", False),
        ("HEADLESS_PM_CLAUDE_SANDBOX", "Yes", "claude.sandbox", True),
        ("HEADLESS_PM_CLAUDE_TIMEOUT", "90", "claude_timeout", 90.0),
        ("HEADLESS_PM_MAX_ATTEMPTS", "5", "max_attempts", 5),
        ("HEADLESS_PM_CLAUDE_ALLOW", '["Bash(make:*)", "Bash(ls, x)"]', "claude.allow", ("Bash(make:*)", "Bash(ls, x)")),
        ("HEADLESS_PM_TASK_BUDGET_USD", "0", "task_budget_usd", 0.0),
        ("HEADLESS_PM_API_URL", "HTTPS://Board.example/pm/", "api_url", "https://Board.example/pm"),
        ("HEADLESS_PM_API_URL", "embedded", "api_url", "embedded"),
    ],
)  # fmt: skip
def test_values_from_the_environment(
    load: Callable[..., Configuration], variable: str, text: str, path: str, value: object
) -> None:
    shown = load({variable: text}).redacted()[path]
    assert shown == {"value": list(value) if isinstance(value, tuple) else value, "source": variable}


def test_models_are_merged_entry_by_entry(load: Callable[..., Configuration], home: Path) -> None:
    (home / "config.yaml").write_text("models: {senior: opus, junior: sonnet}")
    config = load({"HEADLESS_PM_MODELS": '{"junior": "haiku"}'})
    assert config.models == {"junior": "haiku", "senior": "opus", "principal": "opus"}


@pytest.mark.parametrize(
    "url", ["ftp://x", "localhost:6969", "http://", "http://u:p@host", "http://h?q=1", "http://h:99999", "http://a b", "x"]
)  # fmt: skip
def test_urls_that_are_none(load: Callable[..., Configuration], url: str) -> None:
    with pytest.raises(ConfigProblems):
        load({"HEADLESS_PM_API_URL": url, "HEADLESS_PM_INSECURE_HTTP": "1"})


def test_plain_http_goes_to_loopback_only_unless_told(load: Callable[..., Configuration]) -> None:
    with pytest.raises(ConfigProblems, match="unencrypted"):
        load({"HEADLESS_PM_API_URL": "http://board.example"})
    assert load({"HEADLESS_PM_API_URL": "http://board.example", "HEADLESS_PM_INSECURE_HTTP": "1"})
    for host in ("127.0.0.2:1", "[::1]:6969", "localhost"):
        assert load({"HEADLESS_PM_API_URL": f"http://{host}"})


def test_unknown_variables_are_told_but_harmless(load: Callable[..., Configuration]) -> None:
    config = load({"HEADLESS_PM_CLAUDE_TIMOUT": "5", "HEADLESS_PM_DASHBOARD": "x"})
    assert any("did you mean HEADLESS_PM_CLAUDE_TIMEOUT?" in warning for warning in config.warnings)
    assert len(config.warnings) == 2


def test_an_empty_variable_counts_as_unset(load: Callable[..., Configuration]) -> None:
    assert load({"HEADLESS_PM_CLAUDE_TIMEOUT": "", "HEADLESS_PM_ROLE": ""}).claude_timeout == 600


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("a: [1, 2", "not valid YAML (line 2"),
        ("- a\n- b\n", "must hold a mapping"),
        ("hpm: 3\n", "hpm must be a mapping"),
        ("a: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
        ("role: &r [*r]\n", "role must be text, not a list"),
        ("\x00\n", "not valid YAML"),
    ],
)
def test_files_that_are_no_configuration(
    load: Callable[..., Configuration], home: Path, content: str, part: str
) -> None:
    (home / "config.yaml").write_text(content)
    with pytest.raises(ConfigProblems) as caught:
        load()
    assert part in caught.value.message


def test_a_fifo_in_place_of_a_file_does_not_block(load: Callable[..., Configuration], home: Path) -> None:
    os.mkfifo(home / "config.yaml")
    with pytest.raises(ConfigProblems, match="not a regular file"):
        load()


def test_an_aliased_bomb_is_refused_in_bounded_space(load: Callable[..., Configuration], home: Path) -> None:
    levels = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 30))
    (home / "config.yaml").write_text(f"x0: &x0 [a]\n{levels}\nrole: *x29\n")
    with pytest.raises(ConfigProblems) as caught:
        load()
    assert len(caught.value.message) < 10_000


def test_the_operators_file_may_put_everything_under_hpm(
    load: Callable[..., Configuration], home: Path
) -> None:
    (home / "config.yaml").write_text("hpm:\n  claude:\n    allow: ['Bash(make:*)']\n")
    assert load().claude.allow == ("Bash(make:*)",)


def test_relative_paths_are_seen_from_where_they_are_written(
    load: Callable[..., Configuration], home: Path, work: Path
) -> None:
    (home / "config.yaml").write_text("worktree_base: trees\nhooks_dir: ~/hooks\n")
    config = load({"HEADLESS_PM_ROLES_DIR": "roles"})
    assert config.worktree_base == str(home / "trees")
    assert config.roles_dir == str(work / "roles")
    assert config.hooks_dir == os.path.expanduser("~/hooks")


def test_the_command_executor_needs_its_command(load: Callable[..., Configuration]) -> None:
    with pytest.raises(ConfigProblems, match="executor_command"):
        load({"HEADLESS_PM_EXECUTOR": "command"})
    config = load({"HEADLESS_PM_EXECUTOR": "command", "HEADLESS_PM_EXECUTOR_COMMAND": '["agent", "--yes"]'})
    assert config.executor_command == ("agent", "--yes")


def test_what_is_needed_must_be_there(load: Callable[..., Configuration], repository: Path) -> None:
    with pytest.raises(Refused):
        load(need=["api_key"])
    with pytest.raises(Misconfigured, match="no git repository"):
        load(need=["repo"])
    with pytest.raises(ConfigProblems, match="role is not set"):
        load(need=["role"])
    assert load({"HEADLESS_PM_API_URL": "embedded"}, need=["api_key"]).api_key == ""
    assert load(start_dir=repository, need=["repo"]).repo == str(repository)


def test_a_state_directory_of_others_is_refused(load: Callable[..., Configuration], home: Path) -> None:
    home.chmod(0o777)
    with pytest.raises(Misconfigured, match="written by others"):
        load()


def test_a_configuration_is_frozen_and_compares_by_value() -> None:
    config = Configuration(api_key="secret-key", role="qa")
    with pytest.raises(AttributeError):
        config.role = "pm"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Configuration(colour="red")  # type: ignore[call-arg]
    assert config == Configuration(role="qa").replace(api_key="secret-key")
    assert config != Configuration(role="qa")
    assert "secret" not in repr(config)


def test_what_health_shows_holds_no_secret(load: Callable[..., Configuration]) -> None:
    shown = load({"HEADLESS_PM_API_KEY": "abcdefghijkl"}).redacted()
    assert shown["api_key"] == {"value": "***", "source": "HEADLESS_PM_API_KEY"}
    assert set(shown) == {path for path, _ in Configuration.schema()}
    assert "abcdefghijkl" not in json.dumps(shown)


def test_every_setting_explains_itself_and_its_default_is_valid() -> None:
    for path, field in Configuration.schema():
        assert field.help, path
        if field.default not in (None, ""):
            raw = list(field.default) if isinstance(field.default, tuple) else field.default
            assert convert(field, raw, text=False, base="/") == field.default, path


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def refusal(path: str, raw: object, *, text: bool) -> str:
    """Why ``raw`` is refused for the setting, "" if it is taken; nothing else may come out."""
    try:
        convert(dict(Configuration.schema())[path], raw, text=text, base="/base")
    except ValueError as error:
        return str(error)
    return ""


PATHS = st.sampled_from([path for path, _ in Configuration.schema()])


@given(raw=ANYTHING, path=PATHS)
def test_any_value_is_taken_or_refused_in_words(raw: object, path: str) -> None:
    assert len(refusal(path, raw, text=False)) < 400


@given(text=st.text(), path=PATHS)
def test_any_text_of_the_environment_is_taken_or_refused_in_words(text: str, path: str) -> None:
    assert len(refusal(path, text, text=True)) < 400


def test_without_files_neither_yaml_nor_json_is_imported(home: Path, work: Path) -> None:
    code = (
        "import sys; from hpm_tools.config import load_config; load_config();"
        "print(sorted({'yaml', 'json', 're', 'dataclasses', 'requests', 'invoke'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {os.getcwd()!r}); {code}"],
        env={"HEADLESS_PM_HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
