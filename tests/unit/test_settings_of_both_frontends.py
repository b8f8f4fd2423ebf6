"""`hpm` and `invoke` take the same settings from Invoke's places."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from invoke.config import Config as InvokeConfig
from invoke.context import Context

from hpm_tools.cli.completion import offer
from hpm_tools.cli.invoke_settings import settings_of
from hpm_tools.config import invoke_files, load_config
from hpm_tools.errors import UsageError
from tests.support.settings_shop import by, make_shop, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

FRONTS = ("hpm", "invoke")


@pytest.fixture
def shop(tmp_path: Path, exact_board: BoardUnderTest, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_shop(tmp_path, exact_board, monkeypatch)


def by_option(home: Path, _environ: pytest.MonkeyPatch) -> tuple[list[str], str]:
    (home / "session.yaml").write_text("hpm: {hook_timeout: 7}\n")
    (home / ".headless-pm").mkdir(mode=0o700)
    (home / ".headless-pm" / "config.yaml").write_text("hook_timeout: 9\n")
    return ["-f", "../home/session.yaml"], str(home / "session.yaml")


def by_long_option(home: Path, environ: pytest.MonkeyPatch) -> tuple[list[str], str]:
    words, source = by_option(home, environ)
    environ.setenv("INVOKE_RUNTIME_CONFIG", "/the/option/is/stronger.yaml")
    return [f"--config={words[1]}"], source


def by_invokes_variable(home: Path, environ: pytest.MonkeyPatch) -> tuple[list[str], str]:
    _, source = by_option(home, environ)
    environ.setenv("INVOKE_RUNTIME_CONFIG", "~/session.yaml")
    return [], source


def by_variable(_home: Path, environ: pytest.MonkeyPatch) -> tuple[list[str], str]:
    environ.setenv("INVOKE_HPM_HOOK_TIMEOUT", "7")
    return [], "INVOKE_HPM_HOOK_TIMEOUT"


def by_own_file(home: Path, _environ: pytest.MonkeyPatch) -> tuple[list[str], str]:
    (home / ".invoke.yaml").write_text("run: {echo: false}\nhpm: {hook_timeout: 7}\n")
    return [], str(home / ".invoke.yaml")


@pytest.mark.parametrize("place", [by_option, by_long_option, by_invokes_variable, by_variable, by_own_file])
def test_both_take_a_value_from_the_same_place(
    shop: Path,
    isolated: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: Callable[..., tuple[list[str], str]],
) -> None:
    words, source = place(isolated, monkeypatch)
    for front in FRONTS:
        found = shown(by(front, shop, *words, "health", "--json"))
        assert found["hook_timeout"] == {"value": 7.0, "source": source}, front


@pytest.mark.parametrize("front", FRONTS)
def test_a_list_in_invokes_variable_is_json(front: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOKE_HPM_CLAUDE_ALLOW", '["Bash(make:*)", "Bash(npm test:*)"]')
    assert shown(by(front, shop, "health", "--json"))["claude.allow"] == {
        "value": ["Bash(make:*)", "Bash(npm test:*)"],
        "source": "INVOKE_HPM_CLAUDE_ALLOW",
    }


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-f", "gone.yaml"], "-f gone.yaml: there is no such file"),
        (["--config", "gone.yaml"], "-f gone.yaml: there is no such file"),
    ],
)
def test_a_file_that_is_not_there_is_a_wrong_call(
    front: str, shop: Path, words: list[str], message: str
) -> None:
    """Even of a command that reads no settings: Invoke by itself says nothing, and works without them."""
    done = by(front, shop, *words, "locks")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-f"], "-f needs the name of a file with settings"),
        (["--config=", "locks"], "-f needs the name of a file with settings"),
        (["-f", "tasks.txt", "locks"], "-f tasks.txt: the file's name must end in .yaml, .yml, .json, .py"),
        (["-f", "a.yaml", "-f", "b.yaml", "locks"], "-f is given twice with different values"),
    ],
)
def test_a_wrong_option_for_the_file_is_a_wrong_call(shop: Path, words: list[str], message: str) -> None:
    for name in ("a.yaml", "b.yaml", "tasks.txt"):
        (shop / name).write_text("hpm: {}\n")
    done = by("hpm", shop, *words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


def test_the_file_stands_among_the_options_before_the_command(shop: Path) -> None:
    (shop / "a.yaml").write_text("hpm: {}\n")
    for words in (
        ["-f", "a.yaml", "--json"],
        ["--json", "-f=a.yaml"],
        ["-f", "a.yaml", "-f", "./a.yaml", "--json"],
    ):
        assert by("hpm", shop, *words, "locks").stdout == '{"locks": []}\n'
    assert "-f FILE" in by("hpm", shop, "--help").stdout
    assert offer(["-f", ""]) == ([], ":files")
    assert [row["word"] for row in offer(["-f", "a.yaml", "worktree.l"])[0]] == ["worktree.list"]
    assert [row["word"] for row in offer(["--c"])[0]] == ["--config"]


@pytest.mark.parametrize("front", FRONTS)
def test_a_wrong_value_names_the_file(front: str, shop: Path, isolated: Path) -> None:
    (isolated / ".invoke.yaml").write_text("hpm: {hook_timeout: soon}\n")
    done = by(front, shop, "hooks.list")
    assert (done.returncode, done.stdout) == (78, "")
    assert f"{isolated}/.invoke.yaml: hook_timeout must be a number, not 'soon'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_file_leaves_stdout_to_the_command(shop: Path) -> None:
    (shop / "s.py").write_text("print('to stderr')\nhpm = {'level': 'junior'}\n")
    done = by("hpm", shop, "-f", "s.py", "health", "--json")
    assert shown(done)["level"] == {"value": "junior", "source": str(shop / "s.py")}
    assert done.stderr.startswith("to stderr\n")


def test_where_invoke_cannot_merge_the_other_variable_serves(
    shop: Path, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invoke ends before any task begins: docs/commands.md, Settings."""
    (isolated / ".invoke.yaml").write_text("hpm: {claude: {allow: [Read]}}\n")
    monkeypatch.setenv("INVOKE_HPM_CLAUDE_ALLOW", '["Bash(make:*)"]')
    assert shown(by("hpm", shop, "health", "--json"))["claude.allow"]["value"] == ["Bash(make:*)"]
    done = by("invoke", shop, "health", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "UncastableEnvVar" in done.stderr
    monkeypatch.delenv("INVOKE_HPM_CLAUDE_ALLOW")
    monkeypatch.setenv("HEADLESS_PM_CLAUDE_ALLOW", '["Bash(make:*)"]')
    assert shown(by("invoke", shop, "health", "--json"))["claude.allow"]["value"] == ["Bash(make:*)"]


def test_invoke_still_keeps_its_settings_where_we_look(tmp_path: Path) -> None:
    """They are private; a release that moves them must not silently lose -f and ns.configure."""
    file = tmp_path / "session.json"
    file.write_text('{"hpm": {"level": "junior"}}')
    config = InvokeConfig(runtime_path=file, project_location=tmp_path)
    config.load_collection({"hpm": {"role": "qa"}, "other": 3})
    with settings_of(Context(config)):
        assert invoke_files.runtime.get() == str(file)
        assert "INVOKE_RUNTIME_CONFIG" not in os.environ  # it is this thread's; other threads have their own
        configured = invoke_files.configured.get()
        assert configured is not None
        assert configured.project == str(tmp_path)
        found = load_config(start_dir=tmp_path)
        with settings_of(Context()):
            assert load_config(start_dir=tmp_path) == found
    assert (found.level, found.role) == ("junior", "qa")
    assert (invoke_files.runtime.get(), invoke_files.configured.get()) == (None, None)


def test_what_a_context_has_ends_with_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("hpm: {level: junior}\n")
    (tmp_path / "b.yaml").write_text("hpm: {level: senior}\n")
    monkeypatch.setenv("INVOKE_RUNTIME_CONFIG", str(tmp_path / "b.yaml"))
    for context in (None, Context()):
        with settings_of(context):
            assert load_config().level == "senior"
    with settings_of(Context(InvokeConfig(runtime_path=tmp_path / "a.yaml"))):
        assert load_config().level == "junior"
    with (
        pytest.raises(UsageError, match="there is no such file"),
        settings_of(Context(InvokeConfig(runtime_path=tmp_path / "gone.yaml"))),
    ):
        pass
    assert load_config().level == "senior"
