"""Finding the Claude CLI, its version, and whether somebody is logged in."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError, Misconfigured
from hpm_tools.process.capture import capture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MINIMUM = (2, 1, 197)
"""The oldest CLI whose stream, exit codes and structured output were measured (docs/claude-cli.md, Exit codes)."""

INSTALL_HINT = "install Claude Code (https://claude.com/claude-code) or name it with HEADLESS_PM_CLAUDE_PATH"
_VERSION = re.compile(r"\b(\d+)\.(\d+)\.(\d+)\b")
_VERSION_TIMEOUT = 30.0


def find_cli(configured: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path | None:
    """The CLI to run: the configured one and no other, else the first found; None if there is none.

    Looks on PATH, in ~/.claude/local, ~/.local/bin, /usr/local/bin, and for the one that the Python
    package claude-agent-sdk bundles. Raises Misconfigured if the configured one is no program.
    """
    if configured:
        path = Path(configured).expanduser()
        if not _is_program(path):
            what = "is not executable" if path.is_file() else "does not exist"
            raise Misconfigured(f"the Claude CLI {path} {what}", "HEADLESS_PM_CLAUDE_PATH names the program")
        return path.absolute()
    return next((path for path in _candidates(environ) if _is_program(path)), None)


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    on_path = shutil.which("claude", path=environ.get("PATH", os.defpath))
    if on_path:
        yield Path(on_path).absolute()
    home = environ.get("HOME")
    if home:
        yield Path(home, ".claude", "local", "claude")
        yield Path(home, ".local", "bin", "claude")
    yield Path("/usr/local/bin/claude")
    package = importlib.util.find_spec("claude_agent_sdk")
    if package is not None and package.origin:
        yield Path(package.origin).parent / "_bundled" / "claude"


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def cli_version(path: Path, environ: Mapping[str, str]) -> str:
    """The CLI's version, e.g. "2.1.330"; raises Misconfigured if it does not tell or is too old."""
    try:
        answer = capture([str(path), "--version"], env=dict(environ), timeout=_VERSION_TIMEOUT, limit=1 << 16)
    except HpmError as error:
        raise Misconfigured(f"{path} --version: {error.message}", INSTALL_HINT) from error
    found = _VERSION.search(answer.out.decode(errors="replace"))
    if answer.rc != 0 or found is None:
        raise Misconfigured(f"{path} does not tell its version (exit code {answer.rc})", INSTALL_HINT)
    if tuple(map(int, found.groups())) < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise Misconfigured(f"the Claude CLI {path} is too old: {found[0]}", f"{needed} or newer is needed")
    return found[0]


def login(environ: Mapping[str, str]) -> str | None:
    """How the CLI will log in, in words, as far as files and variables show; None if nothing does."""
    for name, words in _LOGIN_VARIABLES.items():
        if environ.get(name):
            return words
    directory = Path(environ.get("CLAUDE_CONFIG_DIR") or Path(environ.get("HOME") or "~", ".claude"))
    if (directory / ".credentials.json").is_file():
        return "the login kept by the CLI"
    if _settings(directory / "settings.json").get("apiKeyHelper"):
        return "apiKeyHelper of the user's settings"
    return None


_LOGIN_VARIABLES = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_VERTEX": "Google Vertex",
    "ANTHROPIC_AUTH_TOKEN": "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_API_KEY": "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_OAUTH_TOKEN": "CLAUDE_CODE_OAUTH_TOKEN",
}


def _settings(path: Path) -> dict[str, object]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
