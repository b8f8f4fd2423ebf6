"""What may run as a hook. Cases with foreign owners need root, who alone can make such files."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools.hook.safety import UnsafeHook, check_hook, private_group
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY_KNOWN = 54321
needs_root = pytest.mark.needs("root")


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    """A safe hook in a directory of its own."""
    path = tmp_path / "hooks" / "h.py"
    path.parent.mkdir(mode=0o755)
    path.write_text("print('ok')\n", encoding="utf-8")
    path.chmod(0o644)
    return path


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory below a sticky one that every user can enter, unlike pytest's."""
    directory = Path(tempfile.mkdtemp(prefix="hpm-test-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def refused(path: Path, *outside: Path) -> str:
    with pytest.raises(UnsafeHook) as caught:
        check_hook(path, outside)
    assert caught.value.hint
    return caught.value.message


def test_an_ordinary_hook_is_safe(hook: Path) -> None:
    assert check_hook(hook) == hook.resolve()


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700, 0o755, 0o555])
def test_modes_that_let_nobody_else_write(hook: Path, mode: int) -> None:
    hook.chmod(mode)
    check_hook(hook)


@pytest.mark.parametrize("mode", [0o646, 0o666, 0o777, 0o602])
def test_a_file_that_everyone_can_write(hook: Path, mode: int) -> None:
    hook.chmod(mode)
    assert refused(hook).endswith("h.py can be written by everyone")


@pytest.mark.fault("hook-unsafe")
def test_any_directory_above_that_everyone_can_write(hook: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert refused(hook).endswith(f"{tmp_path} can be written by everyone")


def test_a_sticky_directory_above_is_fine(hook: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    check_hook(hook)


class TestGroups:
    def test_under_umask_002_with_a_group_of_ones_own(self, hook: Path) -> None:
        if not private_group(os.getgid()):
            os.chown(hook, -1, os.getgid())
        hook.chmod(0o664)
        hook.parent.chmod(0o775)
        if private_group(os.stat(hook).st_gid) and private_group(os.stat(hook.parent).st_gid):
            check_hook(hook)
        else:
            assert "can be written by the group" in refused(hook)

    def test_no_group_with_another_member_is_private(self) -> None:
        me = pwd.getpwuid(os.geteuid()).pw_name
        for group in grp.getgrall():
            if set(group.gr_mem) - {me}:
                assert not private_group(group.gr_gid), group

    def test_an_unknown_group_is_not_private(self) -> None:
        assert not private_group(NOBODY_KNOWN)

    @needs_root
    def test_a_group_of_others_that_can_write(self, hook: Path) -> None:
        os.chown(hook, -1, NOBODY_KNOWN)
        hook.chmod(0o664)
        assert refused(hook).endswith(f"can be written by the group {NOBODY_KNOWN}")
        hook.chmod(0o644)
        check_hook(hook)

    def test_an_access_list_makes_group_bits_mean_something_else(self, hook: Path) -> None:
        hook.chmod(0o664)
        # acl(5), version 2: owner rw, user 54321 rw, group r, mask rw, others r
        entries = [
            (1, 6, 0xFFFFFFFF),
            (2, 6, NOBODY_KNOWN),
            (4, 4, 0xFFFFFFFF),
            (16, 6, 0xFFFFFFFF),
            (32, 4, 0xFFFFFFFF),
        ]
        value = (2).to_bytes(4, "little") + b"".join(
            tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + who.to_bytes(4, "little")
            for tag, rights, who in entries
        )
        try:
            os.setxattr(hook, "system.posix_acl_access", value)
        except OSError as error:
            pytest.skip(f"this file system has no access lists: {error}")
        assert "access list" in refused(hook)


class TestOwners:
    @needs_root
    def test_a_file_of_somebody_else(self, hook: Path) -> None:
        os.chown(hook, NOBODY_KNOWN, -1)
        assert refused(hook).endswith(f"belongs to user {NOBODY_KNOWN}")

    @needs_root
    def test_a_directory_of_somebody_else_sticky_or_not(self, hook: Path) -> None:
        os.chown(hook.parent, NOBODY_KNOWN, -1)
        for mode in (0o755, 0o1777):
            hook.parent.chmod(mode)
            assert "belongs to user" in refused(hook)

    @needs_root
    @pytest.mark.parametrize(
        ("owner", "mode", "fault"),
        [
            ("self", 0o644, ""),
            ("self", 0o664, ""),
            ("root", 0o755, ""),
            ("root", 0o666, "can be written by everyone"),
            ("other", 0o755, "belongs to user"),
        ],
    )
    def test_for_an_ordinary_user(self, owner: str, mode: int, fault: str, public: Path) -> None:
        user = pwd.getpwuid(1)  # daemon, everywhere with a group of its own
        hook = public / "h.py"
        hook.write_text("", encoding="utf-8")
        os.chown(public, user.pw_uid, user.pw_gid)
        public.chmod(0o755)
        os.chown(hook, {"self": user.pw_uid, "root": 0, "other": NOBODY_KNOWN}[owner], user.pw_gid)
        hook.chmod(mode)
        answer = as_user(user, hook)
        assert (fault in answer) if fault else answer == "safe"


def as_user(user: pwd.struct_passwd, hook: Path) -> str:
    """What check_hook says to ``user``, in a fork: the interpreter itself may lie where only root can read."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            check_hook(hook)
            os.write(write, b"safe")
        except BaseException as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


class TestLinks:
    def test_a_link_inside_the_directory(self, hook: Path) -> None:
        link = hook.with_name("l.py")
        link.symlink_to("h.py")
        assert check_hook(link) == hook.resolve()

    @pytest.mark.fault("hook-unsafe")
    def test_a_link_that_leads_out(self, hook: Path, tmp_path: Path) -> None:
        target = tmp_path / "elsewhere.py"
        target.write_text("", encoding="utf-8")
        link = hook.with_name("l.py")
        link.symlink_to(target)
        assert "a link that leads out to" in refused(link)

    def test_a_link_to_nothing_and_a_loop(self, hook: Path) -> None:
        link = hook.with_name("l.py")
        link.symlink_to("gone.py")
        assert "cannot be looked at" in refused(link)
        link.unlink()
        link.symlink_to("l.py")
        assert "cannot be looked at" in refused(link)

    def test_a_link_to_the_directory_is_followed_and_its_place_checked_too(
        self, hook: Path, tmp_path: Path
    ) -> None:
        place = tmp_path / "place"
        place.mkdir(mode=0o755)
        (place / "hooks").symlink_to(hook.parent)
        assert check_hook(place / "hooks" / "h.py") == hook.resolve()
        place.chmod(0o777)
        assert refused(place / "hooks" / "h.py").endswith(f"{place} can be written by everyone")


class TestPlaces:
    def test_inside_a_target_repository(self, hook: Path, tmp_path: Path) -> None:
        assert "lies in the repository" in refused(hook, tmp_path)
        check_hook(hook, [tmp_path / "other", tmp_path / "hook"])

    def test_inside_it_by_way_of_a_link(self, hook: Path, tmp_path: Path) -> None:
        alias = tmp_path.parent / f"{tmp_path.name}-alias"
        alias.symlink_to(tmp_path)
        try:
            assert "lies in the repository" in refused(hook, alias)
            assert "lies in the repository" in refused(alias / "hooks" / "h.py", tmp_path)
        finally:
            alias.unlink()

    @pytest.mark.fault("hook-unsafe")
    def test_inside_a_linked_worktree_of_it_wherever_that_is(self, tmp_path: Path) -> None:
        repo = make_repo(tmp_path / "repo", files={"README.md": "a shop\n", "hooks/h.py": "print('ok')\n"})
        repo.git("worktree", "add", "-q", str(tmp_path / "elsewhere"))
        hook = tmp_path / "elsewhere" / "hooks" / "h.py"
        hook.chmod(0o644)
        assert "lies in the repository" in refused(hook, repo.root)
        check_hook(hook, [tmp_path / "other"])

    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
    def test_no_regular_file(self, make: object, hook: Path) -> None:
        hook.unlink()
        assert callable(make)
        make(hook)
        assert "not a regular file" in refused(hook)
