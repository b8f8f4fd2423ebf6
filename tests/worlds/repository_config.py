"""Settings of git that are not the usual ones, and hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.worlds.checkout import COMMITTED, CONFIGURED, REPOSITORY, add, git, set_up

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.site import Site

SETTINGS = {
    "fileMode off": "[core]\n\tfileMode = false\n",
    "autocrlf": "[core]\n\tautocrlf = true\n",
    "autocrlf input": "[core]\n\tautocrlf = input\n\tsafecrlf = true\n",
    "quotePath off": "[core]\n\tquotePath = false\n",
    "gpgSign": "[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true\n[gpg]\n\tprogram = false\n",
    "hooksPath": "[core]\n\thooksPath = {elsewhere}/hooks\n",
    "no reflogs": "[core]\n\tlogAllRefUpdates = false\n",
    "all reflogs": "[core]\n\tlogAllRefUpdates = always\n",
    "short reflogs": "[gc]\n\treflogExpire = now\n\treflogExpireUnreachable = now\n\tpruneExpire = now\n\tauto = 1\n",
    "include": "[include]\n\tpath = {elsewhere}/more.gitconfig\n",
    "include of nothing": "[include]\n\tpath = /nowhere/at/all\n",
    "include if": '[includeIf "gitdir:{repo}/"]\n\tpath = {elsewhere}/more.gitconfig\n',
    "no untracked": "[status]\n\tshowUntrackedFiles = no\n",
    "untracked cache": "[core]\n\tuntrackedCache = true\n",
    "fsmonitor": "[core]\n\tfsmonitor = {elsewhere}/fsmonitor\n",
    "builtin fsmonitor": "[core]\n\tfsmonitor = false\n\tpreloadIndex = false\n",
    "many files": "[feature]\n\tmanyFiles = true\n[index]\n\tskipHash = true\n",
    "split index": "[core]\n\tsplitIndex = true\n",
    "ignoreCase": "[core]\n\tignoreCase = true\n",
    "no symlinks": "[core]\n\tsymlinks = false\n",
    "worktree config": "[extensions]\n\tworktreeConfig = true\n",
    "checkStat minimal": "[core]\n\tcheckStat = minimal\n\ttrustctime = false\n",
    "colour": "[color]\n\tui = always\n[core]\n\tpager = false\n[column]\n\tui = always\n",
    "external diff": "[diff]\n\texternal = false\n\tnoprefix = true\n\tmnemonicPrefix = true\n\trenames = copies\n",
    "other words": "[log]\n\tshowSignature = true\n\tdecorate = full\n[status]\n\tshort = true\n\tbranch = true\n",
    "no identity": "[user]\n\tuseConfigOnly = true\n\tname =\n\temail =\n",
    "ignored submodules": "[diff]\n\tignoreSubmodules = all\n[submodule]\n\trecurse = true\n",
    "aliases": "[alias]\n\tstatus = !false\n\tco = checkout\n",
    "hidden refs": "[transfer]\n\thideRefs = refs/hpm\n[uploadpack]\n\thideRefs = refs/heads\n",
    "excludes": "[core]\n\texcludesFile = {elsewhere}/letter.txt\n",
    "comments": "[core]\n\tcommentChar = auto\n\teditor = false\n\tabbrev = 4\n[commit]\n\tcleanup = scissors\n",
    "template": "[commit]\n\ttemplate = /nowhere/at/all\n\tverbose = true\n[init]\n\ttemplateDir = /nowhere\n",
    "insteadOf": '[url "http://127.0.0.1:1/"]\n\tinsteadOf = https://\n[remote]\n\tpushDefault = nowhere\n',
    "safe directories": "[safe]\n\tdirectory = /nowhere\n\tbareRepository = explicit\n",
    "guessed remote": "[worktree]\n\tguessRemote = true\n[checkout]\n\tdefaultRemote = nowhere\n\tworkers = 4\n",
    "long line": "[core]\n\tattributesFile = " + "a" * 5000 + "\n",
    "byte order mark": "\ufeff",
}


def some_settings(chance: Random) -> dict[str, Any]:
    return {
        "names": sorted(chance.sample(sorted(SETTINGS), chance.choice((1, 2, 4)))),
        "where": chance.choice(("repository", "global", "system")),
    }


@REPOSITORY.declare(draw=some_settings, rows=("E5", "B3", "C5"), weight=5.0, stage=CONFIGURED)
def odd_settings(site: Site, names: list[str], where: str) -> None:
    """Git's settings are not the usual ones."""
    hooks = site.elsewhere / "hooks"
    hooks.mkdir(exist_ok=True)
    for path, text in {
        hooks / "pre-commit": "#!/bin/sh\nexit 1\n",
        hooks / "post-checkout": "#!/bin/sh\necho checked out > .checked-out\n",
        site.elsewhere / "fsmonitor": "#!/bin/sh\nexit 1\n",
    }.items():
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    (site.elsewhere / "more.gitconfig").write_text(
        "[core]\n\tquotePath = false\n[hpm]\n\tnothing = here\n", encoding="utf-8"
    )
    for name in names:
        if name != "byte order mark":  # git takes one at the beginning of a file only
            set_up(
                site,
                where,
                SETTINGS[name].replace("{elsewhere}", str(site.elsewhere)).replace("{repo}", str(site.repo)),
            )
    if "byte order mark" in names:
        path = site.git_directory / "config"
        path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    if "autocrlf" in names or "autocrlf input" in names:
        from tests.worlds.repository_filters import with_crlf

        site.smudges.append(with_crlf)


def a_worktree_setting(chance: Random) -> dict[str, Any]:
    return {"name": chance.choice(("core.fileMode", "core.autocrlf", "user.name", "core.hooksPath"))}


@REPOSITORY.declare(draw=a_worktree_setting, stage=CONFIGURED)
def worktree_settings(site: Site, name: str) -> None:
    """The main checkout has settings of its own (config.worktree)."""
    git(site, "config", "extensions.worktreeConfig", "true")
    values = {"user.name": "Only Here", "core.hooksPath": "/nowhere"}
    git(site, "config", "--worktree", name, values.get(name, "false"))


HOOKS = {
    "pre-commit": "echo no >&2; exit 1",
    "commit-msg": 'printf "rewritten by a hook\\n" > "$1"',
    "post-checkout": "echo written > by-a-hook.txt",
    "post-commit": "echo written > by-a-hook.txt; git add by-a-hook.txt",
    "reference-transaction": "exit 1",
    "pre-auto-gc": "exit 1",
    "post-index-change": "echo index >> .index-changes",
    "pre-rebase": "exit 1",
    "prepare-commit-msg": "exit 1",
}


def a_hook(chance: Random) -> dict[str, Any]:
    return {"name": chance.choice(sorted(HOOKS)), "relative": chance.random() < 0.2}


@REPOSITORY.declare(draw=a_hook, rows=("B1", "B3"), weight=3.0, stage=CONFIGURED)
def hook(site: Site, name: str, relative: bool) -> None:
    """The repository has a hook, in .git/hooks or in a directory that is committed."""
    place = site.repo / ".githooks" if relative else site.git_directory / "hooks"
    place.mkdir(exist_ok=True)
    path = place / name
    text = f"#!/bin/sh\n{HOOKS[name]}\n"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    if relative:
        add(site, {f".githooks/{name}": text})
        set_up(site, "repository", "[core]\n\thooksPath = .githooks\n")


def an_extension(chance: Random) -> dict[str, Any]:
    name = chance.choice(
        ("refStorage = reftable", "relativeWorktrees = true", "unheardOf = true", "version 99")
    )
    return {"name": name}


@REPOSITORY.declare(draw=an_extension, rows=("C4", "D5"), weight=0.7, stage=CONFIGURED)
def unknown_extension(site: Site, name: str) -> None:
    """The repository has an extension that git, or the runner, does not know."""
    config = site.git_directory / "config"
    before = config.read_bytes()
    if name == "version 99":
        git(site, "config", "core.repositoryFormatVersion", "99")
    else:
        git(site, "config", "core.repositoryFormatVersion", "1")
        extension, _, value = name.partition(" = ")
        git(site, "config", f"extensions.{extension}", value)
    for words in ("keeps its references as", "repository extension", "repo version"):
        site.ways_out.append((words, lambda: config.write_bytes(before)))


@REPOSITORY.declare(rows=("F2",), stage=COMMITTED)
def replaced(site: Site) -> None:
    """A replace ref and a graft show other history than there is."""
    before = git(site, "rev-parse", "HEAD")
    add(site, {"README.md": "what a replace ref hides\n"})
    git(site, "replace", "HEAD", before)
    path = site.git_directory / "info" / "grafts"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before}\n", encoding="ascii")
