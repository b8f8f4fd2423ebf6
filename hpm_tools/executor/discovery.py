"""Finding the Claude CLI, its version, and whether somebody is logged in."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.errors import HpmError, Misconfigured
from hpm_tools.executor.cli_places import candidates, is_program, with_node
from hpm_tools.process.capture import capture
from hpm_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MINIMUM = (2, 1, 197)
"""The oldest CLI whose stream, exit codes and structured output were measured (docs/claude-cli.md, Exit codes)."""

INSTALL_HINT = "install Claude Code (https://claude.com/claude-code) or name it with HEADLESS_PM_CLAUDE_PATH"
_VERSION = re.compile(r"\b(\d+)\.(\d+)\.(\d+)\b")
_VERSION_TIMEOUT = 30.0
_SAID = 300


class FoundCli(NamedTuple):
    """The CLI that is run; ``passed_over`` says of those found before it why they do not serve."""

    path: Path
    version: str
    passed_over: tuple[str, ...] = ()


def find_cli(
    configured: str | os.PathLike[str] | None, environ: Mapping[str, str], child: Mapping[str, str]
) -> FoundCli:
    """The CLI to run: the configured one and no other, else the one on PATH, else the first that serves elsewhere.

    Elsewhere are the directories of installers and version managers (cli_places.places), and the one that the
    Python package claude-agent-sdk bundles. ``child`` is the environment that the CLI will get. Raises
    Misconfigured if none serves: a version manager's shim, for one, needs a version to be set.
    """
    if configured:
        path = Path(configured).expanduser()
        if not is_program(path):
            what = "is not executable" if path.is_file() else "does not exist"
            raise Misconfigured(f"the Claude CLI {path} {what}", "HEADLESS_PM_CLAUDE_PATH names the program")
        return FoundCli(path.absolute(), cli_version(path.absolute(), child))
    on_path = shutil.which("claude", path=environ.get("PATH", os.defpath))
    failures: list[Misconfigured] = []
    for path in _candidates(environ):
        try:
            return FoundCli(path, cli_version(path, child), tuple(error.message for error in failures))
        except Misconfigured as error:
            if on_path:  # the one that a person means, whatever lies elsewhere
                raise
            failures.append(error)
    if not failures:
        raise Misconfigured("no Claude CLI was found, on PATH or where installers put it", INSTALL_HINT)
    raise Misconfigured("; ".join(error.message for error in failures), failures[0].hint)


def is_there(configured: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> bool:
    """Whether there is any CLI to be tried: the configured one, or one that is found. Starts nothing."""
    if configured:
        return is_program(Path(configured).expanduser())
    return next(_candidates(environ), None) is not None


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    seen = set()
    for path in candidates("claude", environ):
        if path not in seen:
            seen.add(path)
            yield path
    package = importlib.util.find_spec("claude_agent_sdk")
    if package is not None and package.origin:
        bundled = Path(package.origin).parent / "_bundled" / "claude"
        if is_program(bundled):
            yield bundled


def cli_version(path: Path, environ: Mapping[str, str]) -> str:
    """The CLI's version, e.g. "2.1.330"; raises Misconfigured if it does not tell or is too old.

    ``environ`` is what the CLI will get, but for node's place (cli_places.with_node).
    """
    told = with_node(environ, path)
    try:
        answer = capture([str(path), "--version"], env=told, timeout=_VERSION_TIMEOUT, limit=1 << 16)
    except HpmError as error:
        raise Misconfigured(f"{path} --version: {error.message}", INSTALL_HINT) from error
    found = _VERSION.search(answer.out.decode(errors="replace"))
    if answer.rc != 0 or found is None:
        said = one_line(answer.err.decode(errors="replace"), _SAID)
        why = f"exit code {answer.rc}" + (f": {said}" if said else "")
        raise Misconfigured(f"{path} does not tell its version ({why})", INSTALL_HINT)
    if tuple(map(int, found.groups())) < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise Misconfigured(f"the Claude CLI {path} is too old: {found[0]}", f"{needed} or newer is needed")
    return found[0]


def as_typed(path: Path | None, environ: Mapping[str, str]) -> str:
    """The CLI as a person at a terminal calls it: by its path unless ``claude`` on PATH is the same one."""
    on_path = shutil.which("claude", path=environ.get("PATH"))
    return "claude" if path is None or str(path) == on_path else shlex.quote(str(path))


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
