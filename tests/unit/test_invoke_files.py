"""Invoke's own configuration files, as the configuration reads them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hpm_tools.config import ConfigProblems, invoke_files
from hpm_tools.config.trust import TrustStore
from hpm_tools.errors import Misconfigured
from tests.support.setting_places import INVOKE_FILES, Places

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    return Places(tmp_path, monkeypatch)


@pytest.mark.parametrize("place", INVOKE_FILES)
def test_the_operators_files_for_invoke_set_what_needs_approval_in_a_repository(
    places: Places, place: str
) -> None:
    path = places.set(place, hooks_dir="hooks", claude={"allow": ["Bash(make:*)"]}, api_key="the-key")
    config = places.load()
    assert config.hooks_dir == os.path.join(os.path.dirname(path), "hooks")
    assert (config.claude.allow, config.api_key, config.warnings) == (("Bash(make:*)",), "the-key", ())


@pytest.mark.parametrize("place", [*INVOKE_FILES, "repository"])
@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "hpm: {level: junior}"),
        (".yml", "hpm: {level: junior}"),
        (".json", '{"hpm": {"level": "junior"}}'),
        (".py", "LEVELS = ['junior']\nhpm = {'level': LEVELS[0]}\nprint('not for stdout')"),
    ],
)
def test_every_form_that_invoke_reads_is_read(
    places: Places, place: str, suffix: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = places.write(place, text, suffix)
    config = places.load()
    if place == "repository" and suffix == ".py":
        assert config.level == "principal"
        (warning,) = config.warnings
        assert warning.startswith(f"{path} is not executed")
        assert capsys.readouterr() == ("", "")
        return
    assert (config.level, config.sources["level"]) == ("junior", path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("place", ["user", "system", "repository"])
def test_the_first_form_that_is_there_counts_as_for_invoke(places: Places, place: str) -> None:
    for suffix in invoke_files.SUFFIXES[2:]:
        places.write(place, "{}", suffix)
    first = places.write(place, "hpm: {level: junior}", ".yml")
    assert places.load().sources["level"] == first
    places.write(place, "run: {echo: true}", ".yaml")
    assert places.load().level == "principal"


def test_a_file_without_our_section_is_neither_parsed_nor_executed(places: Places) -> None:
    places.write("user", "raise SystemExit(1)", ".py")
    places.write("runtime", "run: {echo: true", ".yaml")
    assert places.load().level == "principal"


@pytest.mark.parametrize("place", INVOKE_FILES)
@pytest.mark.parametrize(
    ("suffix", "text", "problem"),
    [
        (".yaml", "hpm: {level: expert}", ": level must be one of junior, senior, principal, not 'expert'"),
        (".yaml", "hpm: {levle: junior}", ": unknown setting 'levle' (did you mean level?)"),
        (".yaml", "hpm: {home: /x}", ": home can only be set by HEADLESS_PM_HOME"),
        (".yaml", "hpm: [level]", ": hpm must be a mapping of settings, not list"),
        (".yaml", "hpm: {level", " is not valid YAML (line "),
        (".json", '{"hpm": }', " is not valid JSON: Expecting value (line 1, column 9)"),
        (".json", '["hpm"]', " must hold an object of settings, not list"),
        (".py", "import os\nhpm = level", " cannot be executed (line 2): NameError: name 'level' is not defined"),
        (".py", "hpm = {", " cannot be executed (line 1): SyntaxError: "),
        (".py", "hpm = 3; raise SystemExit('no\\nmore')", " cannot be executed (line 1): SystemExit: no"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_one_problem_that_names_it(
    places: Places, place: str, suffix: str, text: str, problem: str
) -> None:
    path = places.write(place, text, suffix)
    places.set("flag", level="senior")
    with pytest.raises(ConfigProblems) as caught:
        places.load()
    (told,) = caught.value.problems
    assert told.startswith(f"{path}{problem}")
    assert "\n" not in told


@pytest.mark.parametrize("place", INVOKE_FILES)
def test_a_file_that_others_can_write_is_refused_and_not_executed(places: Places, place: str) -> None:
    path = places.write(place, "hpm = print('executed')", ".py")
    os.chmod(path, 0o646)
    os.chmod(os.path.dirname(path), 0o755)
    with pytest.raises(ConfigProblems, match=rf"can be written by others: .* chmod go-w {path}$"):
        places.load()


@pytest.mark.needs("root")
@pytest.mark.parametrize("place", ["config.yaml", *INVOKE_FILES])
@pytest.mark.parametrize(
    ("owners", "mode", "problem"),
    [
        ((54321, 0), 0o600, " belongs to user 54321, who can change it: use a copy of your own"),
        ((0, 54321), 0o660, " can be written by others: look at what is in it, then: chmod go-w "),
        ((0, 54321), 0o640, ""),
    ],
)
def test_a_file_of_another_user_or_group_is_refused_if_that_can_write_it(
    places: Places, place: str, owners: tuple[int, int], mode: int, problem: str
) -> None:
    path = places.set(place, level="junior")
    os.chown(path, *owners)
    os.chmod(path, mode)
    if not problem:
        assert places.load().level == "junior"
        return
    with pytest.raises(ConfigProblems) as caught:
        places.load()
    (told,) = caught.value.problems
    assert told.startswith(f"{path}{problem}")


@pytest.mark.parametrize("name", ["invoke.yml", "invoke.json"])
def test_the_approval_is_of_the_file_that_invoke_reads(places: Places, name: str) -> None:
    file = places.repository / name
    file.write_text('{"hpm": {"claude": {"allow": ["Bash"]}}}')
    assert places.load().claude.allow == ()
    TrustStore(places.state).approve(str(places.repository), file.read_bytes())
    assert places.load().claude.allow == ("Bash",)
    (places.repository / "invoke.yaml").write_text("run: {echo: true}")
    with pytest.raises(Misconfigured, match=r"invoke.yaml changed since it was trusted"):
        places.load()


def test_health_may_look_past_a_file_that_cannot_be_read(places: Places) -> None:
    """The key is for the board that the file may have named, and goes to no other."""
    (places.home / ".invoke.yaml").mkdir()
    places.environ["HEADLESS_PM_API_KEY"] = "the-key"
    problems: list[str] = []
    assert places.load(tolerated=problems).api_key == ""
    assert problems == [f"{places.home}/.invoke.yaml is not a regular file"]


def test_without_invokes_files_nothing_more_is_imported(places: Places) -> None:
    code = (
        "import sys; from hpm_tools.config import load_config; load_config();"
        "print(sorted({'yaml', 'json', 'contextlib', 'invoke', 'hashlib'} & set(sys.modules)))"
    )
    argv = ["-S", "-c", f"import sys; sys.path.insert(0, {os.getcwd()!r}); {code}"]
    done = subprocess.run(
        [sys.executable, *argv], env=places.environ, cwd=places.home, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
