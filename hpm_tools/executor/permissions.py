"""What an agent may do: the CLI's arguments and settings for it (docs/claude-cli.md, Permissions)."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import Misconfigured
from hpm_tools.executor.base import AgentGit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MODES = ("acceptEdits", "dontAsk", "bypassPermissions")
BYPASS = "bypassPermissions"

LEGACY_GIT = tuple(f"Bash(git {verb}:*)" for verb in ("add", "commit", "status", "diff", "log"))
"""What agents were allowed before there was `claude.sandbox: auto`. ``git log`` and ``git diff`` take options that write
any file (``--output``), so it counts only for configurations that were written for it."""
NO_GIT = ("Bash(git:*)",)
"""Without the sandbox an agent has no git at all: the CLI runs ``git status`` and the like unasked, and they run what the
directory's git configuration names (core.fsmonitor)."""
DENY = (
    "Bash(*headless_pm_client.py*)",
    "Read(//**/.env)",
    "Read(~/.headless-pm/**)",
    "Read(~/.invoke.*)",
    "EnterWorktree",
    "CronCreate",
    "ScheduleWakeup",
)
"""The board's client and keys; leaving the worktree; and staying alive to wait for something."""

NO_WORKTREES: dict[str, Any] = {
    "WorktreeCreate": [
        {"hooks": [{"type": "command", "command": "echo 'work in your own directory' >&2; exit 1"}]}
    ]
}
"""Hooks by which the CLI makes no worktree: it would make it in the MAIN checkout, with a branch, for a subagent that
asks for one (``isolation: "worktree"``), sandboxed or not, for it is the CLI itself that does (no rule reaches that)."""

_RULE = re.compile(r"^(mcp__\S+|[A-Z][A-Za-z]*)(\(.*\))?$", re.DOTALL)
_GIT_RULE = re.compile(r"^Bash\(git\b[ :]*([\w*-]*)")
_FORBIDDEN = re.compile(
    r"headless_pm_client|\.headless-pm\b|(?<![\w.-])\.env(?![\w.-])|(?<![\w.-])\.invoke\.(?:ya?ml|json|py)\b"
)


def allow_rules(allow: Iterable[str], *, git: bool = False) -> list[str]:
    """The rules of ``--allowedTools``; a bare command ("npm test") becomes a rule. ``git`` adds LEGACY_GIT."""
    return list(dict.fromkeys([*(LEGACY_GIT if git else ()), *(_rule(text) for text in allow)]))


def git_allowed(allow: Iterable[str]) -> AgentGit:
    """What an agent that is not sandboxed may do with git: nothing, unless ``claude.allow`` names git."""
    rules = [found[1] for rule in allow_rules(allow) if (found := _GIT_RULE.match(rule))]
    if any(verb in ("", "*", "commit") for verb in rules):
        return AgentGit.COMMIT
    return AgentGit.READ if rules else AgentGit.NONE


def _rule(text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise Misconfigured(f"claude.allow holds an entry that is no rule: {text!r}", "e.g. Bash(npm test:*)")
    return text if _RULE.match(text) else f"Bash({text}:*)"


def deny_rules(
    secrets: Iterable[str | os.PathLike[str]] = (),
    unwritable: Iterable[str | os.PathLike[str]] = (),
    *,
    git: bool = True,
) -> list[str]:
    """The rules of ``--disallowedTools``; a path with two slashes is absolute for the CLI.

    ``secrets`` and ``unwritable`` are files and directories. The latter are kept from the editing tools, and git from the shell unless ``git``.
    """
    rules = [*DENY]
    rules += [
        f"Read(/{path}{'' if os.path.isfile(path) else '/**'})" for path in map(os.path.abspath, secrets)
    ]
    for path in map(os.path.abspath, unwritable):
        rules += [f"Edit(/{path})", f"Edit(/{path}/**)"]
    return [*rules, *(() if git else NO_GIT)]


def denied_by_policy(tool: str, given: Mapping[str, Any]) -> bool:
    """Whether a refused call asked for something that DENY keeps from agents on purpose."""
    if tool in DENY:
        return True
    return any(isinstance(value, str) and _FORBIDDEN.search(value) for value in given.values())


def check_mode(mode: str, environ: Mapping[str, str]) -> None:
    """Raise Misconfigured for a mode that is unknown, or that the CLI refuses to this user."""
    if mode not in MODES:
        raise Misconfigured(f"unknown permission mode {mode!r}", f"one of {', '.join(MODES)}")
    if mode == BYPASS and os.geteuid() == 0 and environ.get("IS_SANDBOX") != "1":
        raise Misconfigured(
            "bypassPermissions is refused to root",
            "run as another user; or, inside a container that holds nothing of value, set IS_SANDBOX=1",
        )


def sandbox_settings(
    domains: Sequence[str],
    unreadable: Iterable[str | os.PathLike[str]],
    unwritable: Iterable[str | os.PathLike[str]] = (),
) -> dict[str, Any]:
    """The settings that confine the agent's shell.

    The rules of ``--disallowedTools`` about reading do not reach a sandboxed shell, so what it must
    not read is named again; only paths that exist, for the CLI would leave placeholders for others.
    """
    sandbox: dict[str, Any] = {
        "enabled": True,
        "autoAllowBashIfSandboxed": True,
        "allowUnsandboxedCommands": False,
        "network": {"allowedDomains": list(domains)},
    }
    paths = sorted({os.path.realpath(path) for path in unreadable if os.path.exists(path)})
    filesystem: dict[str, Any] = {"denyRead": paths} if paths else {}
    # Of itself the CLI lets a sandboxed shell write into the repository's common git directory, refs included.
    if protected := sorted({os.path.realpath(path) for path in unwritable}):
        filesystem["denyWrite"] = protected
    if filesystem:
        sandbox["filesystem"] = filesystem
    return {"sandbox": sandbox}


def permission_arguments(
    *,
    mode: str,
    allow: Iterable[str],
    secrets: Iterable[str | os.PathLike[str]],
    project_settings: bool,
    settings: Mapping[str, Any],
    unwritable: Iterable[str | os.PathLike[str]] = (),
    git: bool = True,
    legacy_git: bool = False,
) -> list[str]:
    """The CLI's arguments. The lists swallow what follows them, so the prompt must come on stdin."""
    arguments = ["--permission-mode", mode]
    if rules := allow_rules(allow, git=legacy_git):
        arguments += ["--allowedTools", *rules]
    arguments += ["--disallowedTools", *deny_rules(secrets, unwritable, git=git or legacy_git)]
    arguments += ["--setting-sources", "user,project,local" if project_settings else "user"]
    arguments += ["--strict-mcp-config"]
    if settings:
        arguments += ["--settings", json.dumps(settings, separators=(",", ":"))]
    return arguments
