"""The settings as they are gathered from one place after another: values, where they came from, what is wrong."""

from __future__ import annotations

from hpm_tools.config import checks, files
from hpm_tools.config.model import Configuration
from hpm_tools.config.settings import Settings
from hpm_tools.config.values import convert
from hpm_tools.errors import HpmError, Misconfigured, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.config.model import Session
    from hpm_tools.config.settings import Setting
    from hpm_tools.state.paths import StateDir

PREFIX = "HEADLESS_PM_"


class ConfigProblems(Misconfigured):
    """Everything that is wrong with the configuration, at once: ``problems`` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        if len(problems) == 1:
            message = f"there is a problem in the configuration: {problems[0]}"
        else:
            message = "\n  ".join([f"there are {len(problems)} problems in the configuration:", *problems])
        super().__init__(
            message,
            "correct it there; hpm health --json lists every setting, its value and where it comes from",
            problems=problems,
        )
        self.problems = problems


class Gathering:
    """Takes values from the strongest place to the weakest; one that is set stays."""

    def __init__(self, state: StateDir, start_dir: str, tolerated: list[str] | None = None) -> None:
        self.tolerated = tolerated
        self.start_dir = start_dir
        self.state = state
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

    def take_section(
        self,
        section: dict[object, Any],
        path: str,
        *,
        base: str,
        own: bool = False,
        approve: str | None = None,
    ) -> None:
        """The settings of one file.

        ``own``: it is the operator's config.yaml, which may set everything. ``approve`` is None for a place that needs no
        approval, "" for one that has it, and else the command that approves it: until then only the free settings count.
        """
        ignored = []
        for setting, raw in files.flatten(section, self.schema):
            field = self.schema.get(setting)
            if field is None:
                self._unknown(setting, path)
            elif field.environment_only:
                self.environment_only(setting, path)
            elif field.operators_own and not own:
                self.belongs_elsewhere(setting, path, "" if approve is None else ", trusted or not")
            elif field.free or not approve:
                self.take(setting, raw, path, base=base)
            elif field.entry is not None:
                ignored += self._take_trusted_entries(field, raw, path, base)
            else:
                ignored.append(setting)
        if ignored:
            self.warnings.append(
                f"{path} is not trusted, so it does not set {', '.join(ignored)}; to approve it: {approve}"
            )

    def _take_trusted_entries(self, field: Setting, raw: Any, path: str, base: str) -> list[str]:
        """Those entries of a list that need no trust; returns what the others are called, and why they do."""
        from hpm_tools.config.entries import without_untrusted

        kept, left = without_untrusted(field, raw)
        if not left or len(left) < len(kept):
            self.take(field.name, kept, path, base=base)
        return [f"{label} with its {bound}" for label, bound in left.items()]

    def environment_only(self, setting: str, place: str) -> None:
        self.problems.append(f"{place}: {setting} can only be set by {PREFIX}{setting.upper()}")

    def belongs_elsewhere(self, setting: str, place: str, even: str = "") -> None:
        ignoring = f"{place} cannot set {setting}{even}, so that it is ignored"
        self.warnings.append(f"{ignoring}: it belongs in {self.state.config_file}")

    def _unknown(self, setting: str, path: str) -> None:
        if setting in {known.partition(".")[0] for known in self.schema if "." in known}:
            self.problems.append(f"{path}: {setting} must be a mapping of settings")
            return
        hint = files.did_you_mean(setting, self.schema)
        if "api_url" in hint:
            self.wrong.add("api_url")
        self.problems.append(f"{path}: unknown setting {setting[:80]!r}{hint}")

    def doubt(self, problem: str) -> None:
        """A problem with a whole place: nobody knows which board it meant."""
        self.problems.append(problem)
        self.wrong.add("api_url")

    def refuse(self, error: HpmError) -> None:
        """Stop at what makes the rest of a file meaningless, except for whoever looks at what is wrong."""
        if self.tolerated is None:
            raise error
        self.problems.append(f"{error.message}; {error.hint}" if error.hint else error.message)

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
