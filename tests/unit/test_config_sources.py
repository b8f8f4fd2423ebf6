"""Where settings may come from: the key's places, the repository around, and what a repository may set."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hpm_tools
from hpm_tools.config import ConfigProblems, Configuration, load_config
from hpm_tools.config.locate import find_repository, is_own_checkout
from hpm_tools.config.trust import TrustStore, digest
from hpm_tools.errors import BadData, Misconfigured
from hpm_tools.state.paths import StateDir

if TYPE_CHECKING:
    from collections.abc import Callable

REMOTE = {"HEADLESS_PM_API_URL": "https://board.example"}
CHECKOUT = Path(hpm_tools.__file__).resolve().parents[1]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", str(directory)], check=True)
    return directory


@pytest.fixture
def load(home: Path, tmp_path: Path) -> Callable[..., Configuration]:
    def loaded(environ: dict[str, str] | None = None, **options: Any) -> Configuration:
        return load_config(
            environ={"HEADLESS_PM_HOME": str(home), **(environ or {})}, **{"start_dir": tmp_path, **options}
        )

    return loaded


def test_the_keys_places_in_order(load: Callable[..., Configuration], home: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# API_KEY=no\nexport API_KEY='from dotenv' # x\nHEADLESS_PM_API_KEY=dotenv # y\n"
    )
    assert load().api_key == "dotenv"
    (home / "config.yaml").write_text("api_key: from-file\n")
    assert load().api_key == "from-file"
    variables = {"API_KEY": "third", "API_KEY_HEADLESS_PM": "second", "HEADLESS_PM_API_KEY": "first"}
    assert load(variables).api_key == "first"
    assert load({"API_KEY": "third", "API_KEY_HEADLESS_PM": "second"}).api_key == "second"
    config = load({"API_KEY": "third"})
    assert (config.api_key, config.sources["api_key"]) == ("third", "API_KEY")


def test_a_key_of_other_programs_stays_on_this_machine(
    load: Callable[..., Configuration], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("API_KEY=of-something-else\n")
    assert load({"API_KEY": "of-something-else", **REMOTE}).api_key == ""
    assert load({"API_KEY": "mine", "HEADLESS_PM_API_URL": "http://127.0.0.1:1"}).api_key == "mine"
    assert (
        load({"HEADLESS_PM_API_URL": "http://127.0.0.1.example", "HEADLESS_PM_INSECURE_HTTP": "1"}).api_key
        == ""
    )


def test_dotenv_gives_nothing_but_the_key(load: Callable[..., Configuration], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "HEADLESS_PM_API_URL=https://evil.example\nHEADLESS_PM_CLAUDE_PATH=/evil\n"
    )
    assert load() == load(start_dir=tmp_path)
    assert load().api_url == "http://localhost:6969"
    assert load().claude_path is None


def test_dotenv_is_read_from_the_start_directory_only(
    load: Callable[..., Configuration], repository: Path, tmp_path: Path
) -> None:
    (repository / ".env").write_text("HEADLESS_PM_API_KEY=in-the-repository\n")
    assert load(repo=repository).api_key == ""
    assert load(start_dir=repository).api_key == "in-the-repository"


def test_a_key_that_no_header_can_carry_is_refused(load: Callable[..., Configuration]) -> None:
    with pytest.raises(ConfigProblems) as caught:
        load({"HEADLESS_PM_API_KEY": "abc\ndef"})
    assert "abc" not in str(caught.value)


def test_the_repository_is_found_from_below_and_from_linked_worktrees(
    repository: Path, tmp_path: Path
) -> None:
    git = ["git", "-C", str(repository), "-c", "user.name=T", "-c", "user.email=t@example.invalid"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", str(tmp_path / "linked")], check=True)
    below = repository / "a" / "b"
    below.mkdir(parents=True)
    assert find_repository(str(below)) == str(repository)
    assert find_repository(str(tmp_path / "linked")) == str(repository)
    assert find_repository(str(tmp_path)) is None
    (tmp_path / "link").symlink_to(below)
    assert find_repository(str(tmp_path / "link")) == str(repository)


@pytest.mark.parametrize("pointer", ["", "gitdir: /nowhere", "gitdir: \0", "x" * 100])
def test_a_damaged_pointer_leads_nowhere_else(tmp_path: Path, pointer: str) -> None:
    (tmp_path / ".git").write_text(pointer)
    assert find_repository(str(tmp_path)) == str(tmp_path)


def test_our_own_checkout_is_a_target_only_if_it_is_named(load: Callable[..., Configuration]) -> None:
    if not (CHECKOUT / ".git").exists():
        pytest.skip("hpm-tools does not run from a checkout")
    main = find_repository(str(CHECKOUT))
    assert main is not None
    assert is_own_checkout(main)
    assert load(start_dir=CHECKOUT).repo is None
    with pytest.raises(Misconfigured, match="own checkout"):
        load(start_dir=CHECKOUT, need=["repo"])
    for named in ({"repo": CHECKOUT}, {"environ": {"HEADLESS_PM_REPO": str(CHECKOUT)}}):
        assert load(**named, need=["repo"]).repo == main


def test_free_settings_count_and_the_others_do_not(
    load: Callable[..., Configuration], repository: Path
) -> None:
    (repository / "invoke.yaml").write_text(
        "hpm: {role: qa, level: junior, health_check_interval: 60, task_check_interval: 9,\n"
        "  claude_path: /evil, api_url: 'https://evil.example', claude: {allow: ['Bash'], sandbox: false}}\n"
    )
    config = load(repo=repository)
    assert (config.role, config.level) == ("qa", "junior")
    assert (config.health_check_interval, config.task_check_interval) == (60, 9)
    assert (config.claude_path, config.api_url, config.claude.allow) == (None, "http://localhost:6969", ())
    (warning,) = config.warnings
    assert "claude_path, api_url, claude.allow, claude.sandbox" in warning
    assert f"hpm trust --repo {repository}" in warning


def test_a_trusted_repository_sets_everything_until_its_file_changes(
    load: Callable[..., Configuration], repository: Path, home: Path
) -> None:
    file = repository / "invoke.yaml"
    file.write_text("hpm: {claude: {allow: ['Bash(make:*)']}, worktree_base: trees}\n")
    store = TrustStore(StateDir(str(home)))
    assert store.approval(str(repository)) is None
    approved = store.approve(str(repository), file.read_bytes())
    assert approved == digest(file.read_bytes())
    config = load(repo=repository)
    assert config.claude.allow == ("Bash(make:*)",)
    assert config.worktree_base == str(repository / "trees")
    assert config.warnings == ()
    for change, said in (
        (lambda: file.write_text("hpm: {role: qa}\n"), "changed since it was trusted"),
        (file.unlink, "was trusted and is gone"),
    ):
        change()
        with pytest.raises(Misconfigured, match=said) as caught:
            load(repo=repository)
        assert caught.value.exit_code == 78
    assert store.revoke(str(repository))
    assert not store.revoke(str(repository))
    assert load(repo=repository).claude.allow == ()


def test_what_is_the_operators_own_no_repository_sets_however_trusted(
    load: Callable[..., Configuration], repository: Path, home: Path
) -> None:
    file = repository / "invoke.yaml"
    file.write_text("hpm: {prompt: {notify: [evil]}}\n")
    TrustStore(StateDir(str(home))).approve(str(repository), file.read_bytes())
    config = load(repo=repository)
    assert config.prompt.notify == ()
    assert config.warnings == (
        f"{file} cannot set prompt.notify, trusted or not, so that it is ignored: it belongs in {home}/config.yaml",
    )
    (home / "config.yaml").write_text("prompt: {notify: [mail, me]}\n")
    assert load(repo=repository).prompt.notify == ("mail", "me")


def test_approvals_are_private_and_a_damaged_one_is_no_approval(repository: Path, home: Path) -> None:
    store = TrustStore(StateDir(str(home)))
    before = os.umask(0o002)
    try:
        store.approve(str(repository), b"hpm: {}")
    finally:
        os.umask(before)
    (file,) = (home / "trust").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (home / "trust").stat().st_mode & 0o777 == 0o700
    for content in ("", "[]", "{}", "nonsense"):
        file.write_text(content)
        with pytest.raises(BadData, match="damaged"):
            store.approval(str(repository))


def test_wrong_settings_of_an_untrusted_repository_are_named_too(
    load: Callable[..., Configuration], repository: Path
) -> None:
    (repository / "invoke.yaml").write_text("hpm: {rolle: qa, level: expert}\nrun: {echo: true}\n")
    with pytest.raises(ConfigProblems) as caught:
        load(repo=repository)
    assert len(caught.value.problems) == 2


def test_an_invoke_file_without_our_section_is_left_alone(
    load: Callable[..., Configuration], repository: Path
) -> None:
    (repository / "invoke.yaml").write_text("run: {echo: true\n")
    assert load(repo=repository).repo == str(repository)


def test_a_mistyped_repository_is_not_looked_for_further_up(
    load: Callable[..., Configuration], repository: Path
) -> None:
    with pytest.raises(ConfigProblems, match=r"--repo .* is not a directory"):
        load(repo=repository / "typo")
    with pytest.raises(ConfigProblems, match=r"HEADLESS_PM_REPO: repo .* is not a directory"):
        load({"HEADLESS_PM_REPO": str(repository / "typo")})


SERVICE = "slack://tokenA1234567/tokenB1234567/tokenC1234567"


def test_where_people_are_told_stands_in_the_operators_file_alone(
    load: Callable[..., Configuration], home: Path, repository: Path
) -> None:
    (home / "config.yaml").write_text(f"notify: {{urls: [{SERVICE!r}], on: [parked, parked, prompt]}}")
    config = load()
    assert config.notify.urls == (SERVICE,)
    assert config.notify.on == ("parked", "prompt")
    assert config.redacted()["notify.urls"]["value"] == "***"
    assert "tokenA" not in repr(config)
    with pytest.raises(ConfigProblems, match="can only be set in"):
        load({"HEADLESS_PM_NOTIFY_URLS": f'["{SERVICE}"]'})
    (repository / "invoke.yaml").write_text(f"hpm: {{notify: {{urls: [{SERVICE!r}]}}}}")
    TrustStore(StateDir(str(home))).approve(str(repository), (repository / "invoke.yaml").read_bytes())
    (warning,) = load(repo=repository).warnings
    assert "cannot set notify.urls, trusted or not" in warning
    assert "tokenA" not in warning


@pytest.mark.parametrize("wrong", [repr(SERVICE), f"[[{SERVICE!r}]]", f"{{a: {SERVICE!r}}}", "[3]", "null"])
def test_a_wrong_secret_is_not_shown(load: Callable[..., Configuration], home: Path, wrong: str) -> None:
    (home / "config.yaml").write_text(f"notify: {{urls: {wrong}}}")
    with pytest.raises(ConfigProblems) as caught:
        load()
    assert "tokenA" not in str(caught.value)
    assert "notify.urls" in str(caught.value)


def test_only_known_kinds_can_be_told(load: Callable[..., Configuration], home: Path) -> None:
    (home / "config.yaml").write_text("notify: {on: [parkd]}")
    with pytest.raises(ConfigProblems, match=r"must be of parked, prompt, .* not 'parkd'"):
        load()
