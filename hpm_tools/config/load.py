"""One reader for both front ends: flag > HEADLESS_PM_* > config.yaml > invoke.yaml > default."""

from __future__ import annotations

import os
import stat

from hpm_tools.config import checks, files, key, locate, trust
from hpm_tools.config.model import Configuration
from hpm_tools.config.settings import Settings
from hpm_tools.config.values import convert
from hpm_tools.errors import HpmError, Misconfigured, Refused, UsageError
from hpm_tools.names import shown
from hpm_tools.state.paths import StateDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from hpm_tools.config.model import Session
    from hpm_tools.config.settings import Setting

PREFIX = "HEADLESS_PM_"
REPOSITORY_FILE = "invoke.yaml"
HOW_TO_DECLARE = (
    "declare some in the repository's invoke.yaml: hpm: {sessions: [{agent_id: dev_001, role: backend_dev}]}"
)


class ConfigProblems(Misconfigured):
    """Everything that is wrong with the configuration, at once: ``problems`` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        if len(problems) == 1:
            message = f"there is a problem in the configuration: {problems[0]}"
        else:
            message = "\n  ".join([f"there are {len(problems)} problems in the configuration:", *problems])
        super().__init__(
            message,
            "once they are valid, hpm health --json lists every setting, its value and where it comes from",
            problems=problems,
        )
        self.problems = problems


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
    reader.take_environment()
    reader.take_operator_file()
    reader.take_key()
    reader.take_repository()
    reader.take_repository_file()
    if session is not None:
        reader.take_session(session)
    config = reader.finish()
    _demand(config, set(need))
    return config


def _start(start_dir: str | os.PathLike[str] | None) -> str:
    try:
        return os.path.abspath(os.fspath(start_dir) if start_dir is not None else os.getcwd())
    except FileNotFoundError as error:
        raise Misconfigured("the current directory no longer exists", "change to one that does") from error


class _Reader:
    """Takes the layers from the strongest to the weakest; a value once set stays."""

    def __init__(
        self, environ: Mapping[str, str], start_dir: str, tolerated: list[str] | None = None
    ) -> None:
        self.tolerated = tolerated
        self.environ = environ
        self.start_dir = start_dir
        self.state = state_dir(environ)
        self.schema: dict[str, Setting] = dict(Configuration.schema())
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.flag_problems = 0
        self.wrong: set[str] = set()
        """Settings that some place had a wrong value for."""
        self.session: Session | None = None

    def take(self, path: str, raw: Any, source: str, *, text: bool = False, base: str = "") -> None:
        """One value from one place. A wrong one is a problem even where a stronger place overrides it."""
        try:
            value = convert(self.schema[path], raw, text=text, base=base or self.start_dir)
        except ValueError as error:
            named = getattr(error, "problems", None) or [f"{path} {error}"]
            self.problems += [f"{source}: {problem}" for problem in named]
            self.wrong.add(path)
            return
        if value is None:
            return
        if self.schema[path].keys:
            value = {**value, **self.values.get(path, {})}
        elif path in self.values:
            return
        self.values[path] = value
        self.sources.setdefault(path, source)

    def take_flags(self, flags: Mapping[str, Any]) -> None:
        for path, value in flags.items():
            if path not in self.schema:
                raise TypeError(f"{path!r} is not a setting")
            if value is not None:
                flag = "--" + path.replace("_", "-").replace(".", "-")
                self.take(path, value, f"flag {flag}")
        self.flag_problems = len(self.problems)

    def take_environment(self) -> None:
        variables = {PREFIX + path.upper().replace(".", "_"): path for path in self.schema}
        for name, raw in self.environ.items():
            if not name.startswith(PREFIX) or not raw:
                continue
            path = variables.get(name)
            if path is None:
                hint = files.did_you_mean(name, variables)
                self.warnings.append(f"{name} is not a setting of hpm-tools and was ignored{hint}")
            elif self.schema[path].secret and self.schema[path].operators_own:
                self.problems.append(f"{name}: {path} can only be set in {self.state.config_file}")
            elif self.schema[path].file_only:
                self.problems.append(f"{name}: {path} can only be set in a file: {self.state.config_file}")
            elif path != "api_key":
                self.take(path, raw, name, text=True)

    def take_operator_file(self) -> None:
        path = self.state.config_file
        try:
            self.state.check()
        except Misconfigured as error:
            self._refuse(error)
            return
        content = self._read(path)
        if content is None:
            return
        if files.others_may(path, stat.S_IWOTH):
            self.problems.append(
                f"{path} can be written by others: look at what is in it, then: chmod go-w {path}"
            )
            self.wrong.add("api_url")
            return
        self._take_section(files.operator_section, content, path)

    def take_key(self) -> None:
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
        """The repository's invoke.yaml: free settings by themselves, all others only if it is trusted."""
        repository = self.values.get("repo")
        if repository is None or not os.path.isdir(repository):
            return
        path = os.path.join(repository, REPOSITORY_FILE)
        content = self._read(path)
        try:
            approval = trust.TrustStore(self.state).approval(repository)
            if approval is not None and approval != trust.digest(content):
                raise Misconfigured(
                    f"{path} changed since it was trusted",
                    f"look at it, then: hpm trust --repo {repository}",
                    path=path,
                )
        except HpmError as error:
            self._refuse(error)
            return
        if content is not None:
            self._take_section(
                files.repository_section, content, path, base=repository, trusted=approval is not None
            )

    def _refuse(self, error: HpmError) -> None:
        """Stop at what makes the rest of a file meaningless, except for whoever looks at what is wrong."""
        if self.tolerated is None:
            raise error
        self.problems.append(f"{error.message}; {error.hint}" if error.hint else error.message)

    def _read(self, path: str) -> bytes | None:
        try:
            return files.read_file(path)
        except Misconfigured as error:
            self.problems.append(error.message)
            return None

    def _take_section(
        self, parse: Any, content: bytes, path: str, *, base: str = "", trusted: bool = True
    ) -> None:
        try:
            section = parse(content, path)
        except Misconfigured as error:
            self.problems.append(error.message)
            self.wrong.add("api_url")  # nobody knows which board the file meant
            return
        ignored = []
        for setting, raw in files.flatten(section, self.schema):
            field = self.schema.get(setting)
            if field is None:
                self._unknown(setting, path)
            elif field.environment_only:
                self.problems.append(f"{path}: {setting} can only be set by {PREFIX}{setting.upper()}")
            elif base and field.operators_own:
                ignoring = f"{path} cannot set {setting}, trusted or not, so that it is ignored"
                self.warnings.append(f"{ignoring}: it belongs in {self.state.config_file}")
            elif trusted or field.free:
                self.take(setting, raw, path, base=base or os.path.dirname(path))
            elif field.entry is not None:
                ignored += self._take_trusted_entries(field, raw, path, base)
            else:
                ignored.append(setting)
        if ignored:
            self.warnings.append(
                f"{path} is not trusted, so it does not set {', '.join(ignored)}; to approve it: "
                f"hpm trust --repo {os.path.dirname(path)}"
            )

    def _take_trusted_entries(self, field: Setting, raw: Any, path: str, base: str) -> list[str]:
        """Those entries of a list that need no trust; returns what the others are called, and why they do."""
        from hpm_tools.config.entries import without_untrusted

        kept, left = without_untrusted(field, raw)
        if not left or len(left) < len(kept):
            self.take(field.name, kept, path, base=base)
        return [f"{label} with its {bound}" for label, bound in left.items()]

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

    def _unknown(self, setting: str, path: str) -> None:
        if setting in {known.partition(".")[0] for known in self.schema if "." in known}:
            self.problems.append(f"{path}: {setting} must be a mapping of settings")
            return
        hint = files.did_you_mean(setting, self.schema)
        if "api_url" in hint:
            self.wrong.add("api_url")
        self.problems.append(f"{path}: unknown setting {setting[:80]!r}{hint}")

    def finish(self) -> Configuration:
        self._check_combinations()
        if self.tolerated is not None and not self.flag_problems:
            self.tolerated.extend(self.problems)
            if "api_url" in self.wrong and "api_url" not in self.values:
                # The key is for the board that was meant, and goes to no other.
                self.values.pop("api_key", None)
        elif self.problems:
            if len(self.problems) == self.flag_problems:
                raise UsageError("; ".join(problem.removeprefix("flag ") for problem in self.problems))
            raise ConfigProblems(self.problems)
        return Configuration(
            **self._nested(), session=self.session, sources=self.sources, warnings=tuple(self.warnings)
        )

    def _check_combinations(self) -> None:
        url = self.values.get("api_url", "")
        if url.startswith("http://") and not checks.is_loopback(url) and not self.values.get("insecure_http"):
            self.problems.append(
                f"{self.sources['api_url']}: api_url {url} would send the key unencrypted; "
                "use https, or set insecure_http: true"
            )
            self.values.pop("api_key", None)
        if self.values.get("executor") == "command" and not self.values.get("executor_command"):
            self.problems.append(f"{self.sources['executor']}: executor 'command' needs executor_command")

    def _nested(self) -> dict[str, Any]:
        nested: dict[str, Any] = {}
        for path, value in self.values.items():
            group, dot, name = path.partition(".")
            if dot:
                nested.setdefault(group, {})[name] = value
            else:
                nested[path] = value
        for name, field in Configuration._fields.items():
            if name in nested and field.keys:
                nested[name] = {**field.default, **nested[name]}
            elif isinstance(field.default, Settings) and name in nested:
                nested[name] = field.default.replace(**nested[name])
        return nested


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
