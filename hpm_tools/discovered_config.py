"""The configuration as a program that imports `hpm_tools` wants it: read, with what is found beside it.

It stands above config/ and executor/, which know nothing of each other; commands and runner need neither.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools import names
from hpm_tools.config import Configuration, load_config
from hpm_tools.errors import Misconfigured
from hpm_tools.executor import roles

if TYPE_CHECKING:
    from typing import Self

    from hpm_tools.executor.roles import RoleText


class Config(Configuration):
    """The configuration that a command started here and now would have; every setting is an attribute.

    It is read as for the commands: from the environment, ``config.yaml`` in the state directory, the key's other places
    (``api_key`` is "" if there is none) and the repository around the current directory. ``settings`` count before all
    of them, as flags do: ``Config(role="qa", claude_timeout=900)``; ``repo`` is the repository to work in, and
    ``home`` the state directory. What was read does not change afterwards; ``replace`` gives one that differs.

    Raises ConfigProblems, which lists everything that is wrong with what was read, UsageError if only
    ``settings`` have wrong values, and TypeError for a name that is no setting.
    """

    def __init__(self, **settings: Any) -> None:
        given = {
            name: os.fspath(value) if isinstance(value, os.PathLike) else value
            for name, value in settings.items()
        }
        environ: dict[str, str] = dict(os.environ)
        if given.get("home"):
            # It says where config.yaml is, so it must be known before anything is read.
            environ["HEADLESS_PM_HOME"] = given["home"]
        self.__dict__.update(vars(load_config(flags=given, environ=environ)))

    def replace(self, **values: Any) -> Self:
        """The same configuration with some settings changed; nothing is read again."""
        changed = object.__new__(type(self))
        changed.__dict__.update(vars(Configuration(**{**vars(self), **values})))
        return changed

    @property
    def claude_cli(self) -> Path | None:
        """The Claude CLI that agents run: the one that ``claude_path`` names, else the first that serves; None if none does.

        Its version is asked for, which starts it. Raises Misconfigured if ``claude_path`` is no program that serves.
        """
        from hpm_tools.executor.claude import ClaudeExecutor  # not for those who want a setting

        try:
            return ClaudeExecutor.from_config(self).cli().path
        except Misconfigured:
            if self.claude_path:
                raise
            return None

    @property
    def team_roles_dir(self) -> Path:
        """The directory of role instructions: ``roles_dir``, else the first found, else that of the built-in ones."""
        if self.roles_dir:
            return Path(self.roles_dir)
        return next((path for path in self._role_places() if path.is_dir()), roles.BUILT_IN)

    def role_instructions(self, role: str, level: str = "") -> RoleText:
        """The instructions of ``role``, as an agent gets them: their ``text``, and the ``path`` of the file.

        A file for the ``level`` (``qa_junior.md``) wins over the general one. Raises UsageError for an unknown role
        or level, and Misconfigured if there are no instructions or they are no readable text.
        """
        return roles.find_role(
            names.role(role),
            self.roles_dir or self._role_places(),
            level=names.level(level) if level else "",
            filtered=self.filter_roles,
        )

    def _role_places(self) -> list[Path]:
        return roles.role_directories(*filter(None, [os.getcwd(), self.repo]))
