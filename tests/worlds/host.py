"""What a host can be: where the runners run, and what they are allowed there."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import disks
from tests.worlds.declared import Register, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.worlds.site import Site

HOST: Register[..., None] = Register("host")
SMALL = 8 << 20


def one_of(**values: tuple[Any, ...]) -> Callable[[Random], dict[str, Any]]:
    """Draws one of the values for each name."""
    return lambda chance: {name: chance.choice(listed) for name, listed in values.items()}


def in_shell(site: Site, act: str) -> None:
    """Let a shell do ``act`` before it becomes each command."""
    site.wrapper += ["/bin/sh", "-c", f'{act}; exec "$@"', "sh"]


@cache
def _reason(*words: str) -> str:
    """Why the command line does not work here; "" if it does."""
    try:
        done = subprocess.run([*words, "true"], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def unshare(site: Site, *options: str) -> None:
    """Run each command in namespaces of its own; Unavailable where that is not allowed."""
    words = [shutil.which("unshare") or "unshare", *options]
    if reason := _reason(*words):
        raise Unavailable(reason)
    site.wrapper += words


def home(site: Site) -> Path:
    return Path(site.more.get("HOME", site.home))


@HOST.declare(draw=one_of(mask=("000", "002", "077", "277")))
def umask(site: Site, mask: str) -> None:
    """Runners start with another umask."""
    in_shell(site, f"umask {mask}")


@HOST.declare(draw=one_of(script=(False, True)), rows=("E1",), weight=2.0)
def pid_1(site: Site, script: bool) -> None:
    """Every command, or a script that calls it, is process 1 of a container without init."""
    unshare(site, "--pid", "--fork", "--mount-proc", "--kill-child")
    if script:
        site.wrapper += ["/bin/sh", "-c", '"$@"; exit $?', "sh"]


@HOST.declare(draw=one_of(name=("c0ffee", "UPPER.example.org", "x" * 64)), rows=("E2",))
def other_name(site: Site, name: str) -> None:
    """The host has another name than the machine that it runs on."""
    unshare(site, "--uts")
    in_shell(site, f"echo {name} >/proc/sys/kernel/hostname")


@HOST.declare(rows=("E9",))
def read_only_home(site: Site) -> None:
    """Nobody can write to the home directory."""
    place = home(site)
    site.mount(place)
    done = disks.mount("-o", "remount,ro", str(place))
    if done.returncode != 0:
        raise Unavailable(done.stderr.strip())


@HOST.declare(draw=one_of(name=("ho me", "hömé", 'it\'s "home" $x', "-home")), unless=("read_only_home",))
def odd_home(site: Site, name: str) -> None:
    """The home directory has an odd name."""
    place = site.directory / name
    shutil.copytree(site.home, place, symlinks=True)
    site.more["HOME"] = str(place)


@HOST.declare(unless=("temporary_elsewhere",))
def no_temporary(site: Site) -> None:
    """TMPDIR names a directory that is not there, until somebody makes it."""
    place = site.directory / "no-such-tmp"
    site.more["TMPDIR"] = str(place)
    site.repairs["TMPDIR"] = lambda: place.mkdir(exist_ok=True)


@HOST.declare()
def temporary_elsewhere(site: Site) -> None:
    """Temporary files have a file system of their own."""
    site.mount(site.temporary, SMALL)
    site.disks.append(site.temporary)


@HOST.declare()
def state_elsewhere(site: Site) -> None:
    """The state directory is a file system of its own, as a volume."""
    site.mount(site.state, SMALL)
    site.disks.append(site.state)


@HOST.declare()
def worktrees_elsewhere(site: Site) -> None:
    """The worktrees have a file system of their own, so that nothing can be renamed out of it."""
    site.mount(site.repo / ".worktrees", SMALL)


@HOST.declare(
    draw=one_of(variable=("LANG", "LC_ALL"), value=("C", "POSIX", "en_US.ISO-8859-1", "tr_TR.UTF-8"))
)
def locale(site: Site, variable: str, value: str) -> None:
    """Another locale, which may not be there."""
    site.more[variable] = value


@HOST.declare()
def minimal_path(site: Site) -> None:
    """PATH has git and a shell and nothing else, until a filter's program is missed."""
    place = site.directory / "few-programs"
    place.mkdir()
    for name in ("git", "sh"):
        found = shutil.which(name)
        if found is None:
            raise Unavailable(f"{name} is not on PATH")
        (place / name).symlink_to(found)
    site.more["PATH"] = str(place)
    site.ways_out.append(
        ("failed 127", lambda: (place / "tr").symlink_to(shutil.which("tr") or "/usr/bin/tr"))
    )


GIT_SETTINGS = {
    "aliases": "[alias]\n\tst = status\n\tcommit = log\n\tstatus = !false\n",
    "colour and pager": "[color]\n\tui = always\n[core]\n\tpager = false\n[pager]\n\tstatus = true\n",
    "prefixes": "[diff]\n\tnoprefix = true\n\tmnemonicPrefix = true\n\texternal = false\n",
    "short and sorted": "[status]\n\tshort = true\n\tbranch = true\n[log]\n\tabbrevCommit = true\n[core]\n\tabbrev = 4\n",
    "line endings": "[core]\n\tautocrlf = true\n\tsafecrlf = true\n",
    "signatures": "[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = true\n",
    "other defaults": "[init]\n\tdefaultBranch = trunk\n[fetch]\n\tprune = true\n[push]\n\tdefault = nothing\n"
    "[merge]\n\tff = only\n[pull]\n\trebase = true\n[rebase]\n\tautoStash = true\n",
    "all untracked hidden": "[status]\n\tshowUntrackedFiles = no\n[core]\n\tquotePath = false\n",
    "hooks": "[core]\n\thooksPath = {hooks}\n",
    "ignored": "[core]\n\texcludesFile = {ignored}\n",
}  # fmt: skip


@HOST.declare(draw=one_of(kind=tuple(sorted(GIT_SETTINGS))), weight=2.0, unless=("read_only_home",))
def git_settings(site: Site, kind: str) -> None:
    """The operator's own git has settings of every kind."""
    hooks, ignored = site.directory / "hooks", site.directory / "ignored"
    hooks.mkdir()
    for name in ("pre-commit", "commit-msg", "post-checkout"):
        (hooks / name).write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        (hooks / name).chmod(0o755)
    ignored.write_text("*.txt\n*.log\n", encoding="utf-8")
    with (home(site) / ".gitconfig").open("a", encoding="utf-8") as file:
        file.write(GIT_SETTINGS[kind].format(hooks=hooks, ignored=ignored))


@HOST.declare(rows=("E10",), weight=0.5)
def unknown_setting(site: Site) -> None:
    """config.yaml has a key that nobody knows, until a person who was told takes it out."""
    site.settings["colour_of_walls"] = "red"
    site.repairs["the unknown setting"] = lambda: settle(site)


def settle(site: Site) -> None:
    if site.settings.pop("colour_of_walls", None):
        site.configure()


@HOST.declare(draw=one_of(limit=("-n 64", "-f 4096", "-s 1024", "-c 0")))
def low_limits(site: Site, limit: str) -> None:
    """Few open files, small files or little stack are allowed."""
    in_shell(site, f"ulimit {limit}")


@HOST.declare()
def nice(site: Site) -> None:
    """Runners have a low priority."""
    site.wrapper += [shutil.which("nice") or "nice", "-n", "10"]


@HOST.declare()
def no_input(site: Site) -> None:
    """Standard input is closed."""
    in_shell(site, "exec <&-")


@HOST.declare()
def subdirectory(site: Site) -> None:
    """Commands are given in a subdirectory of the repository."""
    in_shell(site, "cd src 2>/dev/null")


@HOST.declare(draw=one_of(leave=(0, 4096)), weight=0.5, unless=("no_temporary", "temporary_elsewhere"))
def full_temporary(site: Site, leave: int) -> None:
    """The disk with temporary files is full, until somebody makes room."""
    site.mount(site.temporary, 1 << 20)
    ballast = site.temporary / ".ballast"
    site.repairs["room for temporary files"] = lambda: ballast.unlink(missing_ok=True)
    disks.fill(ballast, leave)
