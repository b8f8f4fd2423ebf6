"""What a child may know: an allowlist; the board's key never, not even when asked for."""

from __future__ import annotations

import pytest

from hpm_tools.process.env import base_environment, helper_environment

GIVEN = {
    "PATH": "/bin",
    "HOME": "/home/x",
    "LC_ALL": "C.UTF-8",
    "XDG_CACHE_HOME": "/c",
    "https_proxy": "http://p",
    "REQUESTS_CA_BUNDLE": "/ca",
    "GIT_AUTHOR_NAME": "N",
    "ANTHROPIC_API_KEY": "k",
    "CLAUDE_CONFIG_DIR": "/d",
    "HEADLESS_PM_API_KEY": "board",
    "API_KEY_HEADLESS_PM": "board",
    "INVOKE_HPM_API_KEY": "board",
    "API_KEY": "board",
    "CLAUDECODE": "1",
    "TERM": "xterm",
    "LD_PRELOAD": "/evil.so",
    "PYTHONPATH": "/evil",
    "NODE_OPTIONS": "--require=/evil",
    "GIT_DIR": "/evil",
    "GIT_SSH_COMMAND": "evil",
    "SSH_AUTH_SOCK": "/s",
    "AWS_SECRET_ACCESS_KEY": "cloud",
    "GOOGLE_APPLICATION_CREDENTIALS": "cloud",
    "GITHUB_TOKEN": "t",
    "HPM_RUN_ID": "another-run",
}
PASSED = {
    *("PATH", "HOME", "LC_ALL", "XDG_CACHE_HOME", "https_proxy", "REQUESTS_CA_BUNDLE", "GIT_AUTHOR_NAME"),
    *("ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR", "TERM"),
}


@pytest.mark.fault("P8")
def test_only_what_is_allowed_passes() -> None:
    child = base_environment(GIVEN)
    assert set(child) == PASSED
    assert child["TERM"] == "dumb"
    assert child["PATH"] == "/bin"


def test_the_operator_adds_names_but_never_the_board_s_key() -> None:
    child = base_environment(
        GIVEN, ["GITHUB_TOKEN", "HEADLESS_PM_API_KEY", "INVOKE_HPM_API_KEY", "API_KEY", "NOT_SET"]
    )
    assert set(child) == PASSED | {"GITHUB_TOKEN"}


@pytest.mark.parametrize(
    ("switch", "value", "cloud"),
    [
        ("CLAUDE_CODE_USE_BEDROCK", "1", {"AWS_SECRET_ACCESS_KEY"}),
        ("CLAUDE_CODE_USE_BEDROCK", "false", set()),
        ("CLAUDE_CODE_USE_BEDROCK", "", set()),
        ("CLAUDE_CODE_USE_VERTEX", "true", {"GOOGLE_APPLICATION_CREDENTIALS"}),
    ],
)
def test_cloud_credentials_pass_only_where_that_cloud_is_used(
    switch: str, value: str, cloud: set[str]
) -> None:
    assert set(base_environment({**GIVEN, switch: value})) == PASSED | {switch} | cloud


def test_the_operators_own_programs_get_no_login_of_the_agents() -> None:
    assert set(helper_environment(GIVEN)) == PASSED - {"ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR"}
    assert "ANTHROPIC_API_KEY" in helper_environment(GIVEN, ["ANTHROPIC_API_KEY"])
    assert "HEADLESS_PM_API_KEY" not in helper_environment(GIVEN, ["HEADLESS_PM_API_KEY"])
