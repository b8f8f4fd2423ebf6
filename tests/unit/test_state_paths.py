from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.errors import Misconfigured, UsageError
from hpm_tools.state import mounts
from hpm_tools.state.paths import StateDir, board_slug, file_name, task_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=[0o002, 0o022, 0o077, 0o000], ids=lambda mask: f"umask {mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_argument_wins_over_the_variable_and_that_over_the_home(
    isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert StateDir(tmp_path / "given").home == str(tmp_path / "given")
    assert StateDir().home == str(isolated / ".headless-pm")
    monkeypatch.setenv("HEADLESS_PM_HOME", "")
    assert StateDir().home == str(isolated / ".headless-pm")
    monkeypatch.setenv("HEADLESS_PM_HOME", "~/elsewhere")
    assert StateDir().home == str(isolated / "elsewhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADLESS_PM_HOME", "relative")
    assert StateDir().home == str(tmp_path / "relative")


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert StateDir(tmp_path / "state").check() is False
    assert not (tmp_path / "state").exists()


def test_directories_are_private_under_every_umask(tmp_path: Path, umask: int) -> None:
    state = StateDir(tmp_path / "new" / "state")
    state.prepare(state.locks, state.tasks)
    for path in (tmp_path / "new", state.home, state.locks, state.tasks):
        assert mode(path) == 0o700, f"{path} under umask {umask:03o}"
    state.prepare()
    assert state.check()


def test_a_group_writable_parent_and_a_sticky_one_are_fine(tmp_path: Path) -> None:
    for bits in (0o775, 0o1777):
        parent = tmp_path / f"parent{bits:o}"
        parent.mkdir()
        parent.chmod(bits)
        StateDir(parent / "state").prepare()


@pytest.mark.parametrize("part", ["", "locks"])
@pytest.mark.parametrize("bits", [0o777, 0o1777, 0o703, 0o702])
def test_a_directory_that_others_can_write_is_refused(tmp_path: Path, bits: int, part: str) -> None:
    state = StateDir(tmp_path / "state")
    state.prepare()
    (tmp_path / "state" / part).chmod(bits)
    with pytest.raises(Misconfigured, match=f"mode {bits:04o}") as caught:
        state.check()
    assert "chmod go-w" in caught.value.hint
    with pytest.raises(Misconfigured):
        state.prepare()


def test_a_directory_writable_by_the_users_own_group_only_is_accepted(tmp_path: Path) -> None:
    import grp
    import pwd

    user = pwd.getpwuid(os.geteuid())
    group = grp.getgrgid(user.pw_gid)
    if group.gr_name != user.pw_name or set(group.gr_mem) - {user.pw_name}:
        pytest.skip("this user has no private group")
    state = StateDir(tmp_path / "state")
    state.prepare()
    os.chown(state.home, -1, user.pw_gid)
    os.chmod(state.home, 0o775)
    assert state.check()


@pytest.mark.needs("root")
def test_a_directory_writable_by_a_shared_group_is_refused(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    state.prepare()
    os.chown(state.home, -1, 65_433)
    os.chmod(state.home, 0o775)
    with pytest.raises(Misconfigured, match="written by others"):
        state.check()


@pytest.mark.needs("root")
def test_a_foreign_directory_is_refused(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    state.prepare()
    os.chown(state.locks, 65_433, 65_433)
    with pytest.raises(Misconfigured, match="belongs to user 65433"):
        state.check()


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(Misconfigured, match="not a directory"):
        StateDir(tmp_path / "state").prepare()
    with pytest.raises(Misconfigured):
        StateDir(tmp_path / "state" / "below").prepare()


def test_a_linked_home_is_followed_and_a_dangling_one_refused(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    StateDir(tmp_path / "state").prepare()
    assert (tmp_path / "disk" / "locks").is_dir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(Misconfigured):
        StateDir(tmp_path / "nowhere").prepare()


def test_a_directory_that_cannot_be_made_is_a_plain_error() -> None:
    with pytest.raises(Misconfigured, match="cannot be made"):
        StateDir("/proc/state").prepare()


def test_names_that_no_system_takes_are_usage_errors() -> None:
    with pytest.raises(UsageError):
        StateDir("a\0b")
    with pytest.raises(Misconfigured, match="whose home"):
        StateDir("~nobody-of-that-name/state")


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("http://localhost:6969", "localhost-6969"),
        ("http://localhost:6969/", "localhost-6969"),
        ("HTTP://LocalHost:6969", "localhost-6969"),
        ("http://127.0.0.1:6969", "localhost-6969"),
        ("http://[::1]:6969", "localhost-6969"),
        ("https://pm.example.org", "pm.example.org-443"),
        ("https://user:secret@pm.example.org:8443/?key=secret#x", "pm.example.org-8443"),
        ("embedded", "embedded"),
    ],
)
def test_a_board_has_one_name(url: str, slug: str) -> None:
    assert board_slug(url) == slug


def test_boards_on_one_server_are_told_apart() -> None:
    slugs = {board_slug(f"http://pm:80{path}") for path in ("", "/a", "/b", "/A", "/a/b", "-a", "_a")}
    assert len(slugs) == 7


@settings(deadline=None)
@given(st.text(), st.text())
def test_file_names_stay_in_their_directory_and_never_collide(one: str, other: str) -> None:
    for text in (one, other):
        name = file_name(text)
        assert name == os.path.basename(name)
        assert not name.startswith((".", "-"))
        assert len(os.fsencode(name)) < 120
        assert name.isascii()
        assert name == name.lower()
    assert (file_name(one) == file_name(other)) == (one == other)


@settings(deadline=None)
@given(st.text() | st.from_regex(r"https?://[^/]*:[^/]*/.*"))
def test_any_url_names_a_board_by_a_plain_file_name(url: str) -> None:
    slug = board_slug(url)
    assert slug == os.path.basename(slug) != ""
    assert slug.isascii()
    assert not slug.startswith(".")


def test_a_local_disk_is_told_from_a_network_one(tmp_path: Path) -> None:
    assert mounts.network_file_system(str(tmp_path)) is None
    assert mounts.network_file_system(str(tmp_path / "absent")) is None
    table = (
        b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n"
        b"37 35 0:52 / /home/a\\040b rw shared:7 master:2 - nfs4 server:/home rw\n"
    )
    assert mounts._type_of(table, 98, 0) == b"ext3"
    assert mounts._type_of(table, 0, 52) == b"nfs4"
    assert mounts._type_of(table, 0, 5) == b""


def test_a_task_is_named_by_its_creation_time_too() -> None:
    name = task_name("localhost-6969", 13, "2026-11-22T10:58:53.088328")
    assert name == "localhost-6969-13-2026-11-22t10.58.53.088328"
    assert name != task_name("localhost-6969", 13, "2026-11-22T10:58:53")
    assert "/" not in task_name("b", 1, "../../etc/passwd\0")


def test_a_runs_log_is_in_a_private_directory(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    assert state.run_log("ab12") == os.path.join(state.runs, "ab12.jsonl")
    assert mode(state.runs) == 0o700
