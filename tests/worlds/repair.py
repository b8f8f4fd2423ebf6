"""What a person does who heeds a notice: what an agent changed in .git is put back as it was."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.site import Site

FILES = ("config", "HEAD", "info/attributes", "info/exclude", "packed-refs")


def back_up(site: Site) -> None:
    """Remember the files by which a repository works."""
    place = site.directory / "backup"
    for name in FILES:
        found = git_directory(site) / name
        if found.is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place / name)


def repair(site: Site) -> list[str]:
    """Put them back where they differ, and do what runners said is to be done; what was mended."""
    place, mended = site.directory / "backup", list[str]()
    for name in ("config", "HEAD"):
        kept, now = place / name, git_directory(site) / name
        if kept.is_file() and (
            not now.is_file() or now.is_symlink() or now.read_bytes() != kept.read_bytes()
        ):
            if now.is_dir() and not now.is_symlink():
                shutil.rmtree(now)
            elif now.exists() or now.is_symlink():
                now.unlink()
            shutil.copy2(kept, now)
            mended.append(name)
    return mended + site.take_ways_out()


def git_directory(site: Site) -> Path:
    return site.repo / ".git"
