"""Which file a role's instructions come from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpm_tools.errors import Misconfigured
from hpm_tools.executor.roles import BUILT_IN, find_role, role_directories
from hpm_tools.names import ROLES

SAMPLE = Path(__file__).parent.parent / "data" / "roles" / "backend_dev.md"


def write(path: Path, text: str = "# Role\n\nBe thorough.\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_built_in(role: str, tmp_path: Path) -> None:
    found = find_role(role, role_directories(tmp_path))
    assert found.built_in
    assert found.left_out == ()
    assert len(found.text) > 500


@pytest.mark.parametrize(
    "place", ["team_roles", "agent_instructions", "headless_pm/team_roles", "agents/client/team_roles"]
)
def test_the_known_places_below_the_current_directory(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / place / "qa.md")
    monkeypatch.chdir(tmp_path)
    found = find_role("qa")
    assert (found.path, found.text, found.built_in) == (path, "# Role\n\nBe thorough.\n", False)


def test_the_first_place_wins(tmp_path: Path) -> None:
    for place in ("agents/client/team_roles", "agent_instructions", "team_roles"):
        path = write(tmp_path / place / "qa.md", f"# {place}\n")
        assert find_role("qa", role_directories(tmp_path)).path == path


def test_several_roots_are_looked_through_in_order(tmp_path: Path) -> None:
    second = write(tmp_path / "b" / "team_roles" / "qa.md")
    assert find_role("qa", role_directories(tmp_path / "a", tmp_path / "b")).path == second


def test_a_file_for_the_level_wins(tmp_path: Path) -> None:
    general, junior = write(tmp_path / "qa.md"), write(tmp_path / "qa_junior.md")
    assert find_role("qa", tmp_path, level="junior").path == junior
    assert find_role("qa", tmp_path, level="senior").path == general
    assert find_role("qa", tmp_path).path == general


def test_the_filter_applies_and_can_be_switched_off() -> None:
    assert "Task Workflow" in find_role("backend_dev", SAMPLE.parent).left_out
    raw = find_role("backend_dev", SAMPLE.parent, filtered=False)
    assert raw.left_out == ()
    assert "headless_pm_client.py tasks next" in raw.text


def test_a_file_with_nothing_but_the_board_falls_back_to_the_built_in_text(tmp_path: Path) -> None:
    write(tmp_path / "qa.md", "# Continuous operation\n\nNever end your session.\n")
    found = find_role("qa", tmp_path)
    assert found.text == (BUILT_IN / "qa.md").read_text(encoding="utf-8")
    assert found.left_out == ("Continuous operation",)


def test_a_named_directory_must_hold_the_role(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no instructions for the role qa"):
        find_role("qa", str(tmp_path))
    with pytest.raises(Misconfigured, match="does not exist"):
        find_role("qa", tmp_path / "missing")


def test_a_link_out_of_a_found_directory_is_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret" / "id_rsa", "PRIVATE KEY\n")
    (tmp_path / "repo" / "team_roles").mkdir(parents=True)
    (tmp_path / "repo" / "team_roles" / "qa.md").symlink_to(secret)
    with pytest.raises(Misconfigured, match="leads out"):
        find_role("qa", role_directories(tmp_path / "repo"))


def test_a_link_inside_a_found_directory_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "team_roles" / "backend_dev.md")
    (tmp_path / "team_roles" / "fullstack_dev.md").symlink_to("backend_dev.md")
    assert "thorough" in find_role("fullstack_dev", role_directories(tmp_path)).text


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "qa.md"
    os.mkfifo(path)
    with pytest.raises(Misconfigured, match="not a regular file"):
        find_role("qa", tmp_path)
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(Misconfigured, match="link to nothing"):
        find_role("qa", tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(Misconfigured, match="not a regular file"):
        find_role("qa", tmp_path)
    path.rmdir()
    for content, fault in ((b"\xff\xfe", "UTF-8"), (b"x" * 200_000, "larger"), (b" \n\x07", "empty")):
        path.write_bytes(content)
        with pytest.raises(Misconfigured, match=fault):
            find_role("qa", tmp_path)
