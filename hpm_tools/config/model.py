"""Every setting of hpm-tools, with its default and its limits (docs/design.md, Settings)."""

from __future__ import annotations

from hpm_tools import names
from hpm_tools.config.checks import agent_id, api_key, api_url, dashboard_password, notices
from hpm_tools.config.invoke_files import CONFIGURED
from hpm_tools.config.settings import Settings, setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DAY = 86400.0
EXECUTORS = ("claude", "command")
ON_PROBLEM = ("ask", "retry", "skip", "release", "stop")

REGENERABLE = (
    "node_modules",
    ".venv",
    "venv",
    "target",
    "build",
    "dist",
    "__pycache__",
    ".*_cache",
    ".tox",
    ".gradle",
    ".cache",
    ".next",
    ".nuxt",
    ".svelte-kit",
    ".angular",
    ".turbo",
    ".parcel-cache",
    "coverage",
    "htmlcov",
    ".coverage",
    ".nyc_output",
    "DerivedData",
    "obj",
    "Pods",
    ".eggs",
    "*.egg-info",
    "*.tsbuildinfo",
    "*.pyc",
    "*.o",
    "*.class",
    "*.log",
    ".DS_Store",
)

DROPPINGS = (".aider*", ".cline", ".codex", ".crush", ".gemini", ".goose", ".opencode", ".pi", ".qwen")


class ClaudeConfig(Settings):
    """What the Claude CLI may do. The least that lets an agent work is the default."""

    allow: tuple[str, ...] = setting(
        default=(), help="tool rules allowed besides editing and git, e.g. Bash(npm test:*)"
    )
    sandbox: bool | str = setting(
        default="auto", help="run the agent's shell commands in the CLI's own sandbox; auto: where it works"
    )
    domains: tuple[str, ...] = setting(default=(), help="hosts that a sandboxed shell may reach")
    permission_mode: str = setting(
        default="acceptEdits",
        choices=("acceptEdits", "bypassPermissions", "dontAsk"),
        help="the CLI's permission mode",
    )
    project_settings: bool = setting(default=False, help="let the CLI read the repository's .claude settings")
    env: tuple[str, ...] = setting(default=(), help="names of further variables that reach the agent")


class WorktreeConfig(Settings):
    """How a new worktree is prepared and what of it need not be kept."""

    copy: tuple[str, ...] = setting(default=(), help="patterns of ignored files to copy into a new worktree")
    setup: tuple[str, ...] = setting(default=(), help="command (argv) that prepares a new worktree")
    setup_timeout: float = setting(default=600.0, low=1, high=DAY, help="seconds for worktree.setup")
    regenerable: tuple[str, ...] = setting(
        default=REGENERABLE, help="name patterns of ignored files and directories that can be made again"
    )
    archive_days: float = setting(
        default=0.0,
        low=0,
        high=36_500,
        help="days after which the archive of a reported task's ignored files is deleted, 0 = never",
    )
    droppings: tuple[str, ...] = setting(
        default=DROPPINGS,
        help="name patterns of new files and directories that agents' programs leave for themselves: "
        "no evidence of work, and not committed",
    )
    max_files: int = setting(
        default=20_000,
        low=1,
        high=100_000_000,
        help="uncommitted files of a task that are committed or salvaged; with more its directory stays",
    )
    max_bytes: int = setting(
        default=2 << 30,
        low=1,
        high=1 << 50,
        help="bytes of a task's uncommitted files that are committed or salvaged; with more its directory stays",
    )


class BudgetConfig(Settings):
    """What agents may cost on one local day, and what follows when they have."""

    agent_daily_usd: float = setting(
        default=0.0, low=0, high=1e6, help="US dollars that one agent may cost on a day, 0 = no limit"
    )
    host_daily_usd: float = setting(
        default=0.0,
        low=0,
        high=1e6,
        help="US dollars that all agents of this host may cost on a day, 0 = no limit",
    )
    then: str = setting(
        default="wait",
        choices=("wait", "keep", "stop"),
        help="what follows: park the task in work and wait for the next day, keep it under its lock until then, "
        "or park it and stop",
    )


class NotifyConfig(Settings):
    """Whom to tell of what, through apprise."""

    urls: tuple[str, ...] = setting(
        default=(),
        secret=True,
        operators_own=True,
        help="where to: apprise's URLs of the services; they are secrets, so only config.yaml may hold them",
    )
    on: tuple[str, ...] = setting(default=names.NOTICES, check=notices, help="event kinds to notify about")
    window: float = setting(
        default=30.0,
        low=0,
        high=3600,
        help="seconds that a notice waits for others, to make one message of them",
    )
    hourly: int = setting(
        default=20, low=1, high=1000, help="messages in an hour at most, of all runners of this host together"
    )


class EventsConfig(Settings):
    """What is kept of what happened, for `hpm events`, `hpm metrics` and the rest."""

    enabled: bool = setting(default=True, help="record what happens in the state directory's events.sqlite")
    keep_days: float = setting(default=90.0, low=0.01, high=3650, help="days after which an event is deleted")
    most: int = setting(default=500_000, low=1000, high=100_000_000, help="events beyond which the oldest go")


class PromptConfig(Settings):
    """How an operator learns that a runner asks and waits (`--on-problem ask`)."""

    notify: tuple[str, ...] = setting(
        default=(), operators_own=True, help="command (argv) that gets each question as JSON on stdin"
    )
    notify_timeout: float = setting(
        default=30.0, low=0.1, high=3600, operators_own=True, help="seconds for prompt.notify"
    )


class DashboardConfig(Settings):
    """Who may see the page of ``hpm dashboard`` besides those who have its URL."""

    password: str = setting(
        default="",
        check=dashboard_password,
        secret=True,
        operators_own=True,
        help="the dashboard's password, for listening beyond loopback and for scrapers",
    )


class Session(Settings):
    """One declared agent, for `run --session`: who it is, and the options of `run` that are its own.

    Its name is its agent id. An option that is None here has the value that it has without a session.
    """

    agent_id: str = setting(default="", check=agent_id, required=True, unique=True, free=True)
    role: str = setting(default="", choices=names.ROLES, required=True, free=True)
    level: str | None = setting(default=None, choices=names.LEVELS, free=True)
    executor: str | None = setting(default=None, choices=EXECUTORS)
    on_problem: str | None = setting(default=None, choices=ON_PROBLEM)
    max_tasks: int | None = setting(default=None, low=1, high=100_000)
    hooks_dir: str | None = setting(default=None, path=True)
    roles_dir: str | None = setting(default=None, path=True)


class Configuration(Settings):
    """The effective configuration of one command or runner.

    ``sources`` says for each dotted setting where its value came from; ``warnings`` are sentences for a person.
    ``session`` is the one of ``sessions`` whose options count here (`run --session`).
    """

    api_url: str = setting(default="http://localhost:6969", check=api_url, help="the board, or 'embedded'")
    api_key: str = setting(default="", check=api_key, secret=True, help="the board's key")
    insecure_http: bool = setting(default=False, help="allow plain http to a host that is not loopback")
    home: str | None = setting(default=None, environment_only=True, help="the state directory")
    repo: str | None = setting(default=None, path=True, help="the repository that agents work on")
    role: str | None = setting(default=None, choices=names.ROLES, free=True, help="the agent's role")
    level: str = setting(default="principal", choices=names.LEVELS, free=True, help="the agent's level")
    base_ref: str | None = setting(default=None, operators_own=True, help="what new branches start from")
    worktree_base: str | None = setting(default=None, path=True, help="where worktrees are made")
    hooks_dir: str | None = setting(default=None, path=True, help="further hooks, before the shipped ones")
    roles_dir: str | None = setting(default=None, path=True, help="role instructions, before the found ones")
    executor: str = setting(default="claude", choices=EXECUTORS, help="what runs an agent")
    executor_command: tuple[str, ...] = setting(default=(), help="the program (argv) of executor 'command'")
    executor_exit_code_is_outcome: bool | None = setting(
        default=None,
        help="executor 'command': whether exit code 0 without an outcome means done "
        "(unset: such a task is given back, and no more are taken)",
    )
    on_problem: str | None = setting(
        default=None,
        choices=ON_PROBLEM,
        help="what to do about a problem (unset: ask on a terminal, otherwise release)",
    )
    auth_patience: float = setting(
        default=3600.0,
        low=0,
        high=30 * DAY,
        help="seconds for which a runner tries a refused login again before it ends with 77",
    )
    hook_timeout: float = setting(default=30.0, low=0.1, high=DAY, help="seconds for one hook")
    claude_timeout: float = setting(default=600.0, low=1, high=7 * DAY, help="seconds for one agent run")
    claude_stall_timeout: float = setting(
        default=900.0,
        low=1,
        high=7 * DAY,
        help="seconds of silence after which an agent run counts as stalled",
    )
    task_timeout: float = setting(default=7200.0, low=1, high=30 * DAY, help="seconds for all runs of a task")
    task_budget_usd: float = setting(
        default=10.0, low=0, high=1e6, help="US dollars for a task, 0 = no limit"
    )
    health_check_interval: float = setting(
        default=300.0, low=1, high=DAY, free=True, help="seconds between health checks"
    )
    task_check_interval: float = setting(
        default=30.0, low=1, high=DAY, free=True, help="longest pause in seconds between looks for a task"
    )
    heartbeat_interval: float = setting(
        default=60.0, low=0.1, high=60, help="seconds between looks whether the board's lock is still held"
    )
    retry_pause: float = setting(
        default=10.0,
        low=0.1,
        high=300,
        help="first pause in seconds after an outage; doubles up to 5 minutes (a pause of pick-up begins with 30 of them)",
    )
    max_attempts: int = setting(default=3, low=1, high=100, help="fruitless attempts before a task is parked")
    filter_roles: bool = setting(
        default=True,
        help="leave out of role instructions what drives the board, which the runner does itself",
    )
    claude_path: str | None = setting(
        default=None, path=True, help="the Claude CLI, instead of the one found"
    )
    account: str = setting(default="default", help="name under which usage limits are shared on this host")
    models: Mapping[str, str] = setting(
        default={"junior": "sonnet", "senior": "sonnet", "principal": "opus"},
        keys=names.LEVELS,
        help="the model for each difficulty",
    )
    sessions: tuple[Session, ...] = setting(
        default=(),
        entry=Session,
        file_only=True,
        help="agents for `run --session`, each a mapping with agent_id and role, and where they differ from the "
        "settings level, executor, on_problem, max_tasks, hooks_dir, roles_dir; entries with nothing but agent_id, "
        "role and level are *free*",
    )
    claude: ClaudeConfig = setting(default=ClaudeConfig())
    worktree: WorktreeConfig = setting(default=WorktreeConfig())
    budget: BudgetConfig = setting(default=BudgetConfig())
    notify: NotifyConfig = setting(default=NotifyConfig())
    events: EventsConfig = setting(default=EventsConfig())
    prompt: PromptConfig = setting(default=PromptConfig())
    dashboard: DashboardConfig = setting(default=DashboardConfig())
    session: Session | None = setting(default=None, hidden=True)
    sources: Mapping[str, str] = setting(default={}, hidden=True)
    warnings: tuple[str, ...] = setting(default=(), hidden=True)

    def secrets(self, environ: Mapping[str, str]) -> frozenset[str]:
        """What is never written down, whoever writes: ``environ``'s secrets, the board's key wherever it was
        found, and the URLs of the services that are told of events.
        """
        from hpm_tools.redaction import secret_values, url_secrets

        services = set().union(*map(url_secrets, self.notify.urls))
        return frozenset({*secret_values(environ), *services, *filter(None, [self.api_key])})

    def place_of(self, path: str) -> str:
        """Where a person changes the setting ``path``: the place that its value came from, else its variable."""
        source = self.sources.get(path, f"HEADLESS_PM_{path.upper().replace('.', '_')}")
        is_file = source.startswith(("/", CONFIGURED))
        return f"{path} in {source}" if is_file else source.removeprefix("flag ")

    def redacted(self) -> dict[str, dict[str, Any]]:
        """Each setting's effective value and source, secrets masked: ``{"api_key": {"value": "***", …}}``."""
        shown: dict[str, dict[str, Any]] = {}
        for path, field in self.schema():
            value: Any = self
            for part in path.split("."):
                value = getattr(value, part)
            if field.secret:
                value = "***" if value else None
            elif field.entry is not None:
                value = [entry.given() for entry in value]
            elif isinstance(value, tuple):
                value = list(value)
            elif field.keys:
                value = dict(value)
            shown[path] = {"value": value, "source": self.sources.get(path, "default")}
        return shown
