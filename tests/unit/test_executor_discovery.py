"""Which Claude CLI is run, whether it serves, and who is logged in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hpm_tools.errors import Misconfigured
from hpm_tools.executor.cli_places import OF_THE_MACHINE
from hpm_tools.executor.discovery import cli_version, find_cli, login
from tests.support.fixtures_claude import bundled_cli

MACHINE_HAS_ONE = any(Path(place, "claude").exists() for place in OF_THE_MACHINE)


def program(path: Path, body: str = "echo 2.1.330") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}


def test_the_order_of_places(tmp_path: Path, environ: dict[str, str]) -> None:
    user = program(tmp_path / "home" / ".local" / "bin" / "claude")
    assert find_cli(None, environ, environ).path == user
    local = program(tmp_path / "home" / ".claude" / "local" / "claude")
    assert find_cli(None, environ, environ).path == local
    on_path = program(tmp_path / "bin" / "claude")
    assert find_cli(None, environ, environ).path == on_path
    named = program(tmp_path / "elsewhere" / "claude")
    assert find_cli(str(named), environ, environ).path == named


@pytest.mark.skipif(MACHINE_HAS_ONE, reason="a CLI is installed on this machine")
def test_the_bundled_one_is_found_last(environ: dict[str, str]) -> None:
    assert find_cli(None, environ, environ).path == bundled_cli()


def test_the_configured_one_wins_or_fails(tmp_path: Path, environ: dict[str, str]) -> None:
    program(tmp_path / "bin" / "claude")
    with pytest.raises(Misconfigured, match="does not exist"):
        find_cli(str(tmp_path / "nothing"), environ, environ)
    plain = tmp_path / "plain"
    plain.write_text("x")
    with pytest.raises(Misconfigured, match="is not executable"):
        find_cli(str(plain), environ, environ)


def test_the_real_version() -> None:
    version = cli_version(bundled_cli(), dict(os.environ))
    assert [part.isdecimal() for part in version.split(".")] == [True] * 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo '1.0.128 (Claude Code)'", "too old: 1.0.128"),
        ("echo hello", "does not tell its version"),
        ("echo 2.1.330; exit 3", "exit code 3"),
        ("kill -SEGV $$", "exit code -11"),
    ],
)
def test_a_cli_that_does_not_serve(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        cli_version(program(tmp_path / "claude", body), dict(os.environ))


def test_a_cli_that_is_no_program(tmp_path: Path) -> None:
    path = program(tmp_path / "claude")
    path.write_text("#!/no/such/interpreter\n")
    with pytest.raises(Misconfigured, match="interpreter"):
        cli_version(path, dict(os.environ))


def test_login(tmp_path: Path, environ: dict[str, str]) -> None:
    assert login(environ) is None
    directory = tmp_path / "home" / ".claude"
    directory.mkdir(parents=True)
    (directory / "settings.json").write_text(json.dumps({"apiKeyHelper": "/bin/key"}))
    assert login(environ) == "apiKeyHelper of the user's settings"
    (directory / "settings.json").write_text("[")
    assert login(environ) is None
    (directory / ".credentials.json").write_text("{}")
    assert login(environ) == "the login kept by the CLI"
    assert login({**environ, "CLAUDE_CONFIG_DIR": str(tmp_path)}) is None
    assert login({**environ, "ANTHROPIC_API_KEY": "k"}) == "ANTHROPIC_API_KEY"
