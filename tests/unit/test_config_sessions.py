"""The setting `sessions`: its entries' types and limits, every mistake told at once, trust, and what one counts for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hpm_tools.config import ConfigProblems, Configuration, load_config
from hpm_tools.config.model import Session
from hpm_tools.config.trust import TrustStore
from hpm_tools.errors import UsageError
from hpm_tools.state.paths import StateDir

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

DEV = "{agent_id: dev_001, role: backend_dev}"
QA = "{agent_id: qa_001, role: qa, executor: command, max_tasks: 3, hooks_dir: hooks}"


class Place:
    """A state directory, and a repository whose invoke.yaml is not trusted."""

    def __init__(self, directory: Path) -> None:
        self.state, self.repo = directory / "state", directory / "shop"
        self.state.mkdir(mode=0o700)
        (self.repo / ".git").mkdir(parents=True)
        self.own, self.shared = self.state / "config.yaml", self.repo / "invoke.yaml"

    def load(self, *, environ: dict[str, str] | None = None, **options: Any) -> Configuration:
        variables = {"HEADLESS_PM_HOME": str(self.state), **(environ or {})}
        return load_config(environ=variables, start_dir=self.repo, **options)

    def problems(self, **options: Any) -> list[str]:
        with pytest.raises(ConfigProblems) as caught:
            self.load(**options)
        return caught.value.problems


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_entries_are_typed_and_their_paths_seen_from_their_file(place: Place) -> None:
    place.own.write_text(f"sessions: [{DEV}, {QA}]")
    config = place.load()
    assert config.sessions == (
        Session(agent_id="dev_001", role="backend_dev"),
        Session(
            agent_id="qa_001",
            role="qa",
            executor="command",
            max_tasks=3,
            hooks_dir=str(place.state / "hooks"),
        ),
    )
    assert config.sources["sessions"] == str(place.own)


def test_health_can_show_them_as_json(place: Place) -> None:
    place.own.write_text(f"sessions: [{DEV}]")
    shown = place.load().redacted()["sessions"]
    assert json.loads(json.dumps(shown["value"])) == [{"agent_id": "dev_001", "role": "backend_dev"}]


def test_every_mistake_is_told_with_its_entry(place: Place) -> None:
    place.own.write_text(
        "sessions:\n"
        "  - {agent_id: dev_001, role: backend_dev, lvl: senior}\n"
        "  - {agent_id: dev_001, role: qa}\n"
        "  - {agent_id: ../x, on_problem: never, max_tasks: 0}\n"
        "  - dev_002\n"
        "  - {role: qa, level: [senior], 3: 4}\n"
    )
    told = [problem.removeprefix(f"{place.own}: ") for problem in place.problems()]
    assert told == [
        "sessions[0] (dev_001): unknown key 'lvl' (did you mean level?)",
        "sessions[1] (dev_001): sessions[0] has this agent_id, too",
        "sessions[2]: agent_id '../x' does not begin with a letter or digit",
        "sessions[2]: on_problem must be one of ask, retry, skip, release, stop, not 'never'",
        "sessions[2]: max_tasks must be between 1 and 100000, not 0",
        "sessions[2]: role is missing",
        "sessions[3]: must be a mapping, such as {agent_id: dev_001, role: backend_dev}, not 'dev_002'",
        "sessions[4]: level must be text, not a list (quote it if it is meant as text)",
        f"sessions[4]: unknown key 3; the keys are {', '.join(Session._fields)}",
        "sessions[4]: agent_id is missing",
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "sessions has no value"),
        ("dev_001", "sessions must be a list of mappings, not 'dev_001'"),
        ("{dev_001: qa}", "sessions must be a list of mappings, not a mapping"),
        ("&here [*here]", "sessions[0]: must be a mapping, such as {agent_id: dev_001, role: backend_dev}, not a list"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_mappings_is_refused(place: Place, value: str, problem: str) -> None:
    place.own.write_text(f"sessions: {value}")
    assert place.problems() == [f"{place.own}: {problem}"]


def test_a_variable_cannot_declare_them(place: Place) -> None:
    told = place.problems(environ={"HEADLESS_PM_SESSIONS": "[]"})
    assert told == [f"HEADLESS_PM_SESSIONS: sessions can only be set in a file: {place.own}"]


def test_an_untrusted_repository_names_agents_roles_and_levels_only(place: Place) -> None:
    place.shared.write_text(f"hpm: {{sessions: [{QA}, {DEV}]}}")
    config = place.load()
    assert config.sessions == (Session(agent_id="dev_001", role="backend_dev"),)
    (warning,) = config.warnings
    ignored = "sessions[0] (qa_001) with its executor, max_tasks, hooks_dir"
    assert warning == (
        f"{place.shared} is not trusted, so it does not set {ignored}; to approve it: hpm trust --repo {place.repo}"
    )
    with pytest.raises(UsageError) as caught:
        place.load(session="qa_001")
    assert "hpm trust --repo" in caught.value.hint


def test_a_mistake_in_an_untrusted_file_keeps_its_entrys_number(place: Place) -> None:
    place.shared.write_text(f"hpm: {{sessions: [{QA}, {{agent_id: dev_001, role: developer}}]}}")
    (told,) = place.problems()
    assert told.startswith(f"{place.shared}: sessions[1] (dev_001): role must be one of ")


def test_all_entries_of_a_trusted_repository_count(place: Place) -> None:
    place.shared.write_text(f"hpm: {{sessions: [{QA}, {DEV}]}}")
    TrustStore(StateDir(str(place.state))).approve(str(place.repo), place.shared.read_bytes())
    config = place.load()
    assert ([session.agent_id for session in config.sessions], config.warnings) == (["qa_001", "dev_001"], ())
    assert config.sessions[0].hooks_dir == str(place.repo / "hooks")


def test_the_operators_list_stands_in_place_of_the_repositorys(place: Place) -> None:
    place.own.write_text(f"sessions: [{QA}]")
    place.shared.write_text(f"hpm: {{sessions: [{DEV}]}}")
    assert [session.agent_id for session in place.load().sessions] == ["qa_001"]


def test_a_session_counts_above_everything_but_flags(place: Place) -> None:
    place.own.write_text(
        "level: junior\non_problem: stop\n"
        "sessions: [{agent_id: dev_001, role: qa, level: senior, on_problem: skip, executor: claude}]"
    )
    environ = {"HEADLESS_PM_LEVEL": "principal", "HEADLESS_PM_ROLE": "pm", "HEADLESS_PM_EXECUTOR": "command"}
    config = place.load(session="dev_001", environ=environ, flags={"on_problem": "retry"})
    assert (config.role, config.level, config.on_problem, config.executor) == (
        "qa",
        "senior",
        "retry",
        "claude",
    )
    assert config.sources["level"] == f"session dev_001 in {place.own}"
    assert config.session == config.sessions[0]
    assert place.load(environ={**environ, "HEADLESS_PM_EXECUTOR": "claude"}).session is None


def test_a_session_whose_executor_has_no_program_is_a_problem(place: Place) -> None:
    place.own.write_text("sessions: [{agent_id: dev_001, role: qa, executor: command}]")
    assert place.load().executor == "claude"
    told = place.problems(session="dev_001")
    assert told == [f"session dev_001 in {place.own}: executor 'command' needs executor_command"]


def test_an_unknown_session_is_named_with_those_that_there_are(place: Place) -> None:
    with pytest.raises(UsageError) as caught:
        place.load(session="dev_001")
    assert caught.value.message == "--session 'dev_001': there is no such session, none is declared"
    assert "sessions: [{agent_id: dev_001, role: backend_dev}]" in caught.value.hint
    place.own.write_text(f"sessions: [{DEV}, {QA}]")
    with pytest.raises(UsageError) as caught:
        place.load(session="dev_01")
    assert caught.value.message == "--session 'dev_01': there is no such session (did you mean dev_001?)"
    assert caught.value.hint == "the sessions are: dev_001, qa_001"
