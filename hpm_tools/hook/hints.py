"""What to do about a hook that failed: the file it is, and the command that runs the same one again."""

from __future__ import annotations

import os
import shlex

from hpm_tools.hook.finding import shipped_hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpm_tools.config import Configuration
    from hpm_tools.hook.outcome import HookOutcome


def mend(config: Configuration, outcome: HookOutcome) -> str:
    """The hint for a hook that ran, or was refused, with ``config``."""
    return f"mend what {outcome.path} says, then: {run_again(config, outcome.name)}"


def run_again(config: Configuration, name: str) -> str:
    return _command("hooks.run", "--name", name, *_where(config))


def listing(config: Configuration) -> str:
    """The command that shows the hooks that count with ``config``."""
    return _command("hooks.list", *_where(config))


def run_file(config: Configuration, name: str, path: str | None) -> str:
    """The command that runs the hook ``name`` at ``path``, which another runner of this host may have had.

    ``path`` None: it is not known, and the hook is the one that counts with ``config``.
    """
    if path is None:
        return run_again(config, name)
    directory = os.path.dirname(path)
    flags = [] if os.path.realpath(directory) == str(shipped_hooks()) else ["--hooks-dir", directory]
    return _command("hooks.run", "--name", name, *flags)


def _where(config: Configuration) -> list[str]:
    """Always with its directory: the person may have other settings than the process that failed."""
    flags = ["--hooks-dir", config.hooks_dir] if config.hooks_dir else []
    if config.repo and config.sources.get("repo") == "flag --repo":
        flags += ["--repo", config.repo]
    return flags


def _command(*words: str) -> str:
    return shlex.join(("hpm", *words))
