"""One reader for both front ends, from the strongest place to the weakest.

flag > HEADLESS_PM_* > INVOKE_HPM_* > -f FILE > config.yaml > ~/.invoke.* > /etc/invoke.* > the repository's invoke.* >
ns.configure > default. Invoke has the operator's file for a session (-f) above the variables; here a variable wins,
as with other programs.
"""

from __future__ import annotations

import os

from hpm_tools.config import checks, files, invoke_files, key, locate, trust
from hpm_tools.config.gathering import PREFIX, ConfigProblems, Gathering
from hpm_tools.config.model import Configuration
from hpm_tools.errors import HpmError, Misconfigured, Refused, UsageError
from hpm_tools.names import shown
from hpm_tools.state.paths import StateDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from hpm_tools.config.model import Session

INVOKE_PREFIX = "INVOKE_HPM_"
HOW_TO_DECLARE = (
    "declare some in the repository's invoke.yaml: hpm: {sessions: [{agent_id: dev_001, role: backend_dev}]}"
)


def state_dir(environ: Mapping[str, str]) -> StateDir:
    """The state directory, which also holds the operator's config.yaml and the approvals."""
    home = environ.get("HEADLESS_PM_HOME")
    if not home and environ.get("HOME"):
        home = os.path.join(environ["HOME"], ".headless-pm")
    return StateDir(home)


def load_config(
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    repo: str | os.PathLike[str] | None = None,
    start_dir: str | os.PathLike[str] | None = None,
    need: Iterable[str] = (),
    tolerated: list[str] | None = None,
    session: str | None = None,
) -> Configuration:
    """The effective configuration.

    ``flags`` maps dotted settings (``claude_timeout``, ``claude.sandbox``) to what the command line gave;
    None means not given. ``repo`` is the repository named by ``--repo``; without it HEADLESS_PM_REPO, the
    operator's file, then the repository around ``start_dir`` (default: the current directory) counts.
    ``need`` names settings that must have a value: ``"repo"``, ``"api_key"``, …
    ``tolerated`` is for whoever looks at what is wrong: it gets the problems of the files and the environment,
    and the settings they are about have their defaults. What would send the key elsewhere loses the key.
    ``session`` names one of the ``sessions``: what it says counts above everything but ``flags``.

    Raises ConfigProblems (all of them at once), UsageError if only flags are wrong or there is no such session,
    and Refused when the key that is needed is missing.
    """
    reader = _Reader(os.environ if environ is None else environ, _start(start_dir), tolerated)
    reader.take_flags({**(flags or {}), **({"repo": os.fspath(repo)} if repo is not None else {})})
    reader.take_environment(PREFIX)
    reader.take_environment(INVOKE_PREFIX)
    reader.take_runtime_file()
    reader.take_operator_file()
    reader.take_invoke_files()
    reader.take_repository()
    reader.take_repository_file()
    reader.take_configured()
    if session is not None:
        reader.take_session(session)
    reader.take_key()
    config = reader.finish()
    _demand(config, set(need))
    return config


def _start(start_dir: str | os.PathLike[str] | None) -> str:
    try:
        return os.path.abspath(os.fspath(start_dir) if start_dir is not None else os.getcwd())
    except FileNotFoundError as error:
        raise Misconfigured("the current directory no longer exists", "change to one that does") from error


class _Reader(Gathering):
    """Knows the places, and what each may set."""

    def __init__(
        self, environ: Mapping[str, str], start_dir: str, tolerated: list[str] | None = None
    ) -> None:
        super().__init__(state_dir(environ), start_dir, tolerated)
        self.environ = environ

    def take_flags(self, flags: Mapping[str, Any]) -> None:
        for path, value in flags.items():
            if path not in self.schema:
                raise TypeError(f"{path!r} is not a setting")
            if value is not None:
                flag = "--" + path.replace("_", "-").replace(".", "-")
                self.take(path, value, f"flag {flag}")
        self.flag_problems = len(self.problems)

    def take_environment(self, prefix: str) -> None:
        """The variables that begin with ``prefix``; the key is looked for in others, too (take_key)."""
        variables = {prefix + path.upper().replace(".", "_"): path for path in self.schema}
        for name, raw in self.environ.items():
            if not name.startswith(prefix) or not raw:
                continue
            path = variables.get(name)
            if path is None:
                hint = files.did_you_mean(name, variables)
                self.warnings.append(f"{name} is not a setting of hpm-tools and was ignored{hint}")
                continue
            field = self.schema[path]
            if field.secret and field.operators_own:
                self.problems.append(f"{name}: {path} can only be set in {self.state.config_file}")
            elif field.file_only:
                self.problems.append(f"{name}: {path} can only be set in a file: {self.state.config_file}")
            elif prefix != PREFIX and field.environment_only:
                self.environment_only(path, name)
            elif prefix != PREFIX and field.operators_own:
                self.belongs_elsewhere(path, name)
            elif path != "api_key":
                self.take(path, raw, name, text=True)

    def take_runtime_file(self) -> None:
        """The file of ``-f FILE``, or the one that Invoke's variable for it names."""
        named = invoke_files.runtime.get() or self.environ.get(invoke_files.RUNTIME)
        if not named:
            return
        path = invoke_files.absolute(named)
        if os.path.splitext(path)[1] not in invoke_files.SUFFIXES:
            self.doubt(f"{invoke_files.RUNTIME}: {path} must end in {', '.join(invoke_files.SUFFIXES)}")
            return
        content = self._read(path)
        if content is not None:
            self._take_invoke_file(path, content)
        elif not os.path.exists(path):
            self.doubt(f"{invoke_files.RUNTIME} names {path}, which does not exist")

    def take_operator_file(self) -> None:
        path = self.state.config_file
        try:
            self.state.check()
        except Misconfigured as error:
            self.refuse(error)
            return
        content = self._read(path)
        if content is None or not self._is_only_ours(path):
            return
        section = self._parsed(files.operator_section, content, path)
        self.take_section(section, path, base=os.path.dirname(path), own=True)

    def take_invoke_files(self) -> None:
        """Invoke's own files of the operator, ~/.invoke.*, and of this machine's administrator, /etc/invoke.*."""
        home = self.environ.get("HOME")
        stems = [os.path.join(home, invoke_files.USER)] if home else []
        for stem in (*stems, invoke_files.SYSTEM):
            found = self._first_of(stem)
            if found is not None:
                self._take_invoke_file(*found)

    def _take_invoke_file(self, path: str, content: bytes) -> None:
        if self._is_only_ours(path):
            section = self._parsed(invoke_files.section, content, path)
            self.take_section(section, path, base=os.path.dirname(path))

    def take_key(self) -> None:
        """The key for the board that all other places have agreed on by now."""
        url = self.values.get("api_url", Configuration._fields["api_url"].default)
        found = key.in_environment(self.environ, url)
        if found is not None:
            self.values.pop("api_key", None)
            self.sources.pop("api_key", None)
        elif "api_key" not in self.values:
            found = key.in_dotenv(self.start_dir, url)
        if found is not None:
            self.take("api_key", *found)

    def take_repository(self) -> None:
        named = self.values.get("repo")
        if named is not None and not os.path.isdir(named):
            where = self.sources["repo"]
            named = f"--repo {named}" if where == "flag --repo" else f"{where}: repo {named}"
            self.problems.append(f"{named} is not a directory")
            if where == "flag --repo":
                self.tolerated = None  # a word of this very command, which is no setting to look at
            return
        found = locate.find_repository(named or self.start_dir)
        if named is not None:
            self.values["repo"] = found or named
        elif found is not None and not locate.is_own_checkout(found):
            self.values["repo"] = found
            self.sources["repo"] = "the repository around the start directory"

    def take_repository_file(self) -> None:
        repository = self.values.get("repo")
        if repository is not None and os.path.isdir(repository):
            self._take_project_file(repository, f"hpm trust --repo {repository}")

    def _take_project_file(self, directory: str, trust_it: str) -> None:
        """A directory's file for Invoke: free settings by themselves, all others only if it is trusted."""
        stem = os.path.join(directory, invoke_files.PROJECT)
        try:
            found = invoke_files.first_of(stem)
        except Misconfigured as error:  # a device, a pipe…: whether it was trusted cannot be said
            self.doubt(error.message)
            return
        path, content = found or (stem + invoke_files.SUFFIXES[0], None)
        if content is not None and path.endswith(".py"):
            # Agents can write it.
            usual = stem + invoke_files.SUFFIXES[0]
            if files.SECTION.encode() in content:
                self.warnings.append(
                    f"{path} is not executed, so it sets nothing: use {usual} for {files.SECTION}"
                )
            path, content = usual, None
        try:
            approval = trust.TrustStore(self.state).approval(directory)
            if approval is not None and approval != trust.digest(content):
                if content is None:
                    raise Misconfigured(
                        f"{path} was trusted and is gone", f"put it back, or: {trust_it} --revoke", path=path
                    )
                raise Misconfigured(
                    f"{path} changed since it was trusted", f"look at it, then: {trust_it}", path=path
                )
        except HpmError as error:
            self.refuse(error)
            return
        if content is not None:
            section = self._parsed(invoke_files.section, content, path)
            self.take_section(section, path, base=directory, approve="" if approval is not None else trust_it)

    def take_configured(self) -> None:
        """What the tasks.py in use brings: the file beside it, where that is not the repository's, and ns.configure.

        Both may set as much as a repository's file, and are weaker.
        """
        configured = invoke_files.configured.get()
        if configured is None:
            return
        repository = self.values.get("repo")
        trust_it = configured.trust_task() + (f" --repo {repository}" if repository else "")
        if configured.is_apart(repository):
            self._take_project_file(configured.project, trust_it)
        if configured.section is None:
            return
        try:
            section = configured.settings()
            approved = trust.TrustStore(self.state).configured(configured.project)
            is_approved = bool(approved) and trust.digest(configured.content()) in approved
            if approved and not is_approved:
                raise Misconfigured(
                    f"{configured.source} changed since it was trusted", f"look at it, then: {trust_it}"
                )
        except HpmError as error:
            self.refuse(error)
            return
        approve = "" if is_approved else trust_it
        self.take_section(section, configured.source, base=configured.project, approve=approve)

    def _read(self, path: str) -> bytes | None:
        try:
            return files.read_file(path)
        except Misconfigured as error:
            self.doubt(error.message)
            return None

    def _first_of(self, stem: str) -> tuple[str, bytes] | None:
        try:
            return invoke_files.first_of(stem)
        except Misconfigured as error:
            self.doubt(error.message)
            return None

    def _is_only_ours(self, path: str) -> bool:
        problem = files.written_by_others(path)
        if problem:
            self.doubt(problem)
        return not problem

    def _parsed(
        self, parse: Callable[[bytes, str], dict[object, Any]], content: bytes, path: str
    ) -> dict[object, Any]:
        try:
            return parse(content, path)
        except Misconfigured as error:
            self.doubt(error.message)
            return {}

    def take_session(self, name: str) -> None:
        """What a declared session says, above every place but the command line; UsageError if there is none."""
        declared: tuple[Session, ...] = self.values.get("sessions", ())
        self.session = next((session for session in declared if session.agent_id == name), None)
        if self.session is None:
            if not self.problems:
                raise self._no_session(name, [session.agent_id for session in declared])
            return
        for path, value in self.session.given().items():
            if path in self.schema and not self.sources.get(path, "").startswith("flag "):
                self.values[path] = value
                self.sources[path] = f"session {name} in {self.sources['sessions']}"

    def _no_session(self, name: str, known: list[str]) -> UsageError:
        message = f"--session {shown(name)}: there is no such session"
        # An entry that is ignored for want of trust may be the one that is meant.
        hints = [warning for warning in self.warnings if f"({name})" in warning]
        if not known and not hints:
            return UsageError(f"{message}, none is declared", HOW_TO_DECLARE)
        listed = f"the sessions are: {', '.join(known)}" if known else ""
        return UsageError(
            message + files.did_you_mean(name, known), "; ".join(filter(None, [listed, *hints]))
        )


def require_repository(config: Configuration) -> str:
    """The repository that agents work on; Misconfigured if none was named and none is around."""
    if config.repo is None:
        raise Misconfigured(
            "there is no git repository here to work on (hpm-tools' own checkout does not count)",
            "change into one, or name it: --repo DIR or HEADLESS_PM_REPO",
        )
    return config.repo


def _demand(config: Configuration, need: set[str]) -> None:
    if "repo" in need:
        require_repository(config)
    if "api_key" in need and not config.api_key and config.api_url != checks.EMBEDDED:
        raise Refused(
            f"no key for the board at {config.api_url}", "set HEADLESS_PM_API_KEY to the board's key"
        )
    missing = sorted(name for name in need - {"repo", "api_key"} if not getattr(config, name))
    if missing:
        raise ConfigProblems([f"{name} is not set" for name in missing])
