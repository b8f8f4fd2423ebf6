"""Where the Claude CLI is found beside PATH, as installers and version managers put it, and whether it runs from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import Misconfigured
from hpm_tools.executor.claude import ClaudeExecutor
from hpm_tools.executor.discovery import find_cli
from tests.support.fixtures_claude import bundled_cli
from tests.unit.test_executor_discovery import program

if TYPE_CHECKING:
    from tests.support.fixtures_claude import ClaudeBench
    from tests.support.runners import Desk

PLACES = (
    ".claude/local",
    ".local/bin",
    "packages of npm/bin",
    ".npm-global/bin",
    "node_modules/.bin",
    ".bun/bin",
    ".volta/bin",
    ".nvm/versions/node/v18.20.1/bin",
    ".local/share/fnm/node-versions/v20.1.0/installation/bin",
    "n/bin",
    ".local/share/pnpm",
    ".yarn/bin",
    ".config/yarn/global/node_modules/.bin",
    ".asdf/shims",
    ".local/share/mise/shims",
    ".nodenv/shims",
)
BROKEN_SHIM = "echo 'No version is set for command claude' >&2; exit 126"
NODE = 'echo "2.1.330 of $0"'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "a home"
    path.mkdir()
    (path / ".npmrc").write_text("fund=false\nprefix = ${HOME}/packages of npm\n", encoding="utf-8")
    return path


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    """As cron and systemd give it, but without a node of the machine."""
    return {"HOME": str(home), "PATH": str(home / "bin")}


def script_of_node(path: Path) -> Path:
    """A program as npm installs it."""
    program(path)
    path.write_text("#!/usr/bin/env node\nconsole.log()\n", encoding="utf-8")
    return path


def found(environ: dict[str, str]) -> Path:
    return find_cli(None, environ, environ).path


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_where_it_is_installed(home: Path, environ: dict[str, str], place: str) -> None:
    path = program(home / place / "claude")
    assert found(environ) == path


@pytest.mark.parametrize(
    ("alias", "version"), [(None, "v22.1.0"), ("20", "v20.11.1"), ("v9.9.9", "v9.9.9"), ("lts/*", "v22.1.0")]
)
def test_of_nvms_versions_the_default_counts_then_the_newest(
    home: Path, environ: dict[str, str], alias: str | None, version: str
) -> None:
    for each in ("v9.9.9", "v20.9.0", "v20.11.1", "v22.1.0", "v2.0.0"):
        program(home / ".nvm/versions/node" / each / "bin/claude")
    if alias:
        (home / ".nvm/alias").mkdir()
        (home / ".nvm/alias/default").write_text(alias + "\n", encoding="utf-8")
    assert found(environ).parts[-3] == version


def test_a_script_of_nvm_runs_with_the_node_beside_it_whatever_is_on_path(
    home: Path, environ: dict[str, str]
) -> None:
    program(home / "bin/node", "echo 1.0.0")
    script_of_node(home / ".nvm/versions/node/v20.11.1/bin/claude")
    program(home / ".nvm/versions/node/v20.11.1/bin/node", NODE)
    assert find_cli(None, environ, environ).version == "2.1.330"


@pytest.mark.parametrize("place", [".npm-global/bin", "bin"])
def test_a_script_runs_with_a_node_of_another_place_where_path_has_none(
    home: Path, environ: dict[str, str], place: str
) -> None:
    script_of_node(home / place / "claude")
    program(home / ".volta/bin/node", NODE)
    assert find_cli(None, environ, environ).version == "2.1.330"


def test_a_shim_without_a_version_is_passed_over_and_named(home: Path, environ: dict[str, str]) -> None:
    shim = program(home / ".asdf/shims/claude", BROKEN_SHIM)
    serves = program(home / ".local/share/mise/shims/claude")
    line = ClaudeExecutor(environ=environ).check()[0]
    assert line.ok
    assert f"2.1.330 at {serves}; passed over: {shim} does not tell its version" in line.text
    assert "No version is set for command claude" in line.text


def test_a_shim_that_is_all_there_is_says_why_it_does_not_work(home: Path, environ: dict[str, str]) -> None:
    shim = program(home / "bin/claude", BROKEN_SHIM)
    program(home / ".local/bin/claude")
    with pytest.raises(Misconfigured, match="No version is set for command claude") as refused:
        found(environ)
    assert str(shim) in refused.value.message, "the one on PATH counts, whatever lies elsewhere"


def test_claude_check_and_the_shipped_hook_find_the_same_one(desk: Desk) -> None:
    path = desk.home / ".nvm/versions/node/v20.11.1/bin/claude"
    script_of_node(path)
    program(path.parent / "node", NODE)
    desk.change(executor="claude", hooks_dir=None)
    short = str(desk.home / "bin")
    for name in ("git", "env"):
        link(Path(short, name), name)
    checks = json.loads(desk.hpm("claude.check", "--json", PATH=short).stdout)["checks"]
    hook = desk.hpm("hooks.run", "--name", "pre_task", PATH=short)
    assert (checks[0]["text"], f"agent: {path}" in hook.stdout) == (f"2.1.330 at {path}", True), hook.stdout


def link(path: Path, name: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(str(shutil.which(name)))


def test_an_agent_starts_by_the_node_of_nvm(claude: ClaudeBench) -> None:
    """The real CLI behind a script of node, as nvm installs it: the agent's environment has to lead there, too."""
    place = Path(claude.environ["HOME"], ".nvm/versions/node/v20.11.1/bin")
    script_of_node(place / "claude")
    program(place / "node", f'shift; exec {bundled_cli()} "$@"')
    claude.play(outcome={"status": "done", "summary": "all of it"})
    run = claude.run(executor=claude.executor(path=None))
    assert (run.finished, run.is_error, run.errors) == (True, False, ())
