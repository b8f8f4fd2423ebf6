"""Hints that a person can act on as they stand."""

from __future__ import annotations

import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import UsageError
from hpm_tools.events.moments import moment
from hpm_tools.extras import install_command
from hpm_tools.text import counted
from tests.support.frontends import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_600_000.0


def test_an_invalid_time_is_answered_with_times_that_work() -> None:
    with pytest.raises(UsageError) as caught:
        moment("yesteday", NOW)
    assert caught.value.message == "invalid time 'yesteday'"
    assert caught.value.hint == "use 90m, 24h, 7d, today, yesterday or 2026-11-25T09:00"
    for form in caught.value.hint.removeprefix("use ").replace(" or ", ", ").split(", "):
        moment(form, NOW)


@pytest.mark.parametrize(("number", "said"), [(0, "0 files"), (1, "1 file"), (4, "4 files")])
def test_a_count_has_its_plural(number: int, said: str) -> None:
    assert counted(number, "file") == said


def test_a_missing_extra_is_installed_by_pip_where_there_is_one() -> None:
    wanted = "-m pip install 'hpm-tools[board]' apprise"
    assert install_command("hpm-tools[board]", "apprise") == f"{sys.executable} {wanted}"


def test_a_missing_extra_is_installed_by_uv_in_an_environment_without_pip(tmp_path: Path) -> None:
    venv.create(tmp_path / "without pip", with_pip=False)
    python = tmp_path / "without pip" / "bin" / "python"
    ask = f"import sys; sys.path.append({str(PROJECT)!r})\nfrom hpm_tools import extras\nprint(extras.install_command('apprise'))"
    said = subprocess.run([str(python), "-I", "-c", ask], capture_output=True, text=True, check=True).stdout
    assert said == f"uv pip install --python '{python}' apprise\n"
