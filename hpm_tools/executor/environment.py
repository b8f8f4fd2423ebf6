"""The environment of the Claude CLI: an allowlist, and what makes an unattended run end when it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.process.env import base_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OF_ANOTHER_SESSION = frozenset(
    {
        "CLAUDECODE",
        "CLAUDE_CODE_CHILD_NOTES_DIR",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_EXECPATH",
        "CLAUDE_CODE_MESSAGING_SOCKET",
        "CLAUDE_CODE_MESSAGING_TOKEN",
        "CLAUDE_CODE_SESSION_ATTENDED",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_SSE_PORT",
        "CLAUDE_EFFORT",
        "CLAUDE_ENV_FILE",
        "CLAUDE_PID",
        "CLAUDE_PROJECT_DIR",
    }
)
"""What a CLI sets for its own children; met when hpm-tools is itself started by an agent."""

DEFAULTS = {
    "CLAUDE_CODE_MAX_RETRIES": "3",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_DISABLE_CRON": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "DISABLE_AUTOUPDATER": "1",
}
"""Unless the operator says otherwise: a refused key ends the run in 4 s instead of 100; a run ends when its
answer is given; what one task notes down does not instruct the next; the CLI is not replaced mid-run."""

PASSED_ON = ("IS_SANDBOX",)


def cli_environment(
    environ: Mapping[str, str], extra_names: Iterable[str], *, project_settings: bool
) -> dict[str, str]:
    """The allowlisted part of ``environ`` and ``extra_names``, over DEFAULTS.

    Unless the CLI reads the ``project_settings``, it is told to look for CLAUDE.md in ``--add-dir``.
    """
    allowed = base_environment(environ, (*extra_names, *PASSED_ON))
    allowed = {name: value for name, value in allowed.items() if name not in OF_ANOTHER_SESSION}
    if not project_settings:
        allowed["CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD"] = "1"
    return {**DEFAULTS, **allowed}
