"""The order of all places that a setting may stand in, and what each of them may set."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from hpm_tools.config import ConfigProblems, Configuration, invoke_files
from hpm_tools.config.trust import TrustStore
from tests.support.setting_places import INVOKE_FILES, ORDER, Places

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    return Places(tmp_path, monkeypatch)


@pytest.mark.parametrize("place", ORDER)
def test_each_place_alone_sets_the_value_and_is_its_source(places: Places, place: str) -> None:
    source = places.set(place, level="junior")
    config = places.load()
    assert (config.level, config.sources["level"], config.warnings) == ("junior", source, ())


@pytest.mark.parametrize(("strong", "weak"), list(itertools.combinations(ORDER, 2)))
def test_the_stronger_of_two_places_wins(places: Places, strong: str, weak: str) -> None:
    places.set(weak, level="junior")
    source = places.set(strong, level="senior")
    config = places.load()
    assert (config.level, config.sources["level"]) == ("senior", source)


@pytest.mark.parametrize("place", ["INVOKE_HPM", *INVOKE_FILES, "repository", "ns.configure"])
def test_what_belongs_in_config_yaml_is_ignored_elsewhere_with_a_warning(places: Places, place: str) -> None:
    source = places.set(place, base_ref="elsewhere")
    config = places.load()
    assert config.base_ref is None
    (warning,) = config.warnings
    assert warning.startswith(f"{source} cannot set base_ref")
    assert warning.endswith(f"it belongs in {places.state.config_file}")
    for stronger in ("config.yaml", "HEADLESS_PM", "flag"):
        assert places.load().base_ref != stronger
        places.set(stronger, base_ref=stronger)
        assert places.load().base_ref == stronger


@pytest.mark.parametrize("prefix", ["HEADLESS_PM", "INVOKE_HPM"])
def test_variables_set_nested_settings_lists_and_mappings(places: Places, prefix: str) -> None:
    places.environ |= {
        f"{prefix}_CLAUDE_TIMEOUT": "77",
        f"{prefix}_CLAUDE_SANDBOX": "false",
        f"{prefix}_CLAUDE_ALLOW": '["Bash(make:*)", "Bash(npm test:*)"]',
        f"{prefix}_MODELS": '{"senior": "opus"}',
        f"{prefix}_API_KEY": "the-key",
    }
    config = places.load()
    assert (config.claude_timeout, config.claude.sandbox, config.api_key) == (77, False, "the-key")
    assert config.claude.allow == ("Bash(make:*)", "Bash(npm test:*)")
    assert (config.models["senior"], config.models["junior"]) == ("opus", "sonnet")
    assert config.place_of("claude_timeout") == f"{prefix}_CLAUDE_TIMEOUT"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("INVOKE_HPM_CLAUDE_TIMEOUT", "soon", "claude_timeout must be a number, not 'soon'"),
        ("INVOKE_HPM_CLAUDE_ALLOW", "Bash", "claude.allow must be JSON in the environment"),
        ("INVOKE_HPM_HOME", "/x", "home can only be set by HEADLESS_PM_HOME"),
        ("INVOKE_HPM_NOTIFY_URLS", '["x://y"]', "notify.urls can only be set in"),
        ("INVOKE_HPM_DASHBOARD_PASSWORD", "long enough for it", "dashboard.password can only be set in"),
        ("INVOKE_RUNTIME_CONFIG", "/nowhere.yaml", "/nowhere.yaml, which does not exist"),
        ("INVOKE_RUNTIME_CONFIG", "/etc/passwd", "/etc/passwd must end in .yaml, .yml, .json, .py"),
    ],
)
def test_a_wrong_variable_is_one_problem_that_names_it(
    places: Places, name: str, value: str, problem: str
) -> None:
    places.environ[name] = value
    with pytest.raises(ConfigProblems) as caught:
        places.load()
    (told,) = caught.value.problems
    assert told.startswith(name)
    assert problem in told


def test_an_unknown_variable_is_a_warning_with_what_may_be_meant(places: Places) -> None:
    places.environ["INVOKE_HPM_CLAUDE_TIMOUT"] = "5"
    (warning,) = places.load().warnings
    assert warning == (
        "INVOKE_HPM_CLAUDE_TIMOUT is not a setting of hpm-tools and was ignored "
        "(did you mean INVOKE_HPM_CLAUDE_TIMEOUT?)"
    )


def test_no_two_settings_have_one_variable() -> None:
    """Invoke ends with AmbiguousEnvVar at every task then, whether the variable is set or not."""
    variables = [path.replace(".", "_") for path, _ in Configuration.schema()]
    assert len(set(variables)) == len(variables)


def test_where_a_value_is_changed_is_named(places: Places) -> None:
    path = places.set("user", api_url="https://board.example", role="qa")
    source = places.set("ns.configure", level="junior")
    config = places.load()
    assert config.place_of("api_url") == f"api_url in {path}"
    assert config.place_of("level") == f"level in {source}"


@pytest.mark.parametrize("place", ["config.yaml", "user", "repository", "ns.configure"])
def test_a_key_that_other_programs_use_goes_to_no_board_elsewhere(places: Places, place: str) -> None:
    places.set(place, api_url="https://board.example")
    if place == "repository":
        TrustStore(places.state).approve(
            str(places.repository), (places.repository / "invoke.yaml").read_bytes()
        )
    elif place == "ns.configure":
        configured = invoke_files.configured.get()
        assert configured is not None
        TrustStore(places.state).approve_configured(str(places.repository), configured.content())
    places.environ["API_KEY"] = "of-something-else"
    config = places.load()
    assert (config.api_url, config.api_key) == ("https://board.example", "")
