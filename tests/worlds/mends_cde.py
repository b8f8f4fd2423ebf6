"""The mends of rows C, D, E and F, each taken out again."""

from __future__ import annotations

from tests.campaign.edits import Edit, First, Statement, Value
from tests.worlds.mends import Mend

NAMED_BEFORE = """
names = (
    "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "BISECT_LOG",
    "rebase-merge/orig-head", "rebase-merge/onto", "rebase-merge/stopped-sha", "rebase-merge/amend",
    "rebase-merge/autostash", "rebase-apply/orig-head", "rebase-apply/autostash", "sequencer/head",
)
found = admin_files.reflog_ids(place.git_dir / "logs" / "HEAD")
for path in admin_files.own_files(place):
    name = path.relative_to(place.git_dir).as_posix()
    if name in names or name.startswith("refs/"):
        found |= {match.decode() for match in admin_files.OID.findall(path.read_bytes())}
return {oid for oid in found if oid.strip("0")}
"""
"""What `reachability.remembered` did when it had a list of names."""

NO_SYSTEM = 'base_environment() | {"GIT_CONFIG_NOSYSTEM": "1"}'

ALIVE_BEFORE = """
if record.holder == RUNNER:
    if guard_held:
        return ALIVE
    return DEAD if _of_this_host(record) else UNPROVEN
if record.holder == PROCESS and _of_this_host(record):
    return _process_alive(record)
return UNPROVEN
"""
"""What `holder.holder_alive` did before it asked for the boot."""

MENDS = (
    Mend(
        "C1",
        "what lies at the path of a submodule that is not checked out goes with its worktree",
        [
            Edit("below_empty_submodules", First("return []")),
            Edit("keep_all", Value("prove", "None")),
        ],
        needs=(
            "act below_submodule",
            "act add_submodule",
            "repository submodule",
            "repository embedded_repository",
        ),
        objects=("lost",),
    ),
    Mend(
        "C2",
        "of the commits that only files of a worktree name, those that a list of 14 names leads to are kept",
        [
            Edit("remembered", First(NAMED_BEFORE)),
            Edit("keep_state", First("return None")),
            Edit("keep_conflicts", First("return None")),
        ],
        needs=(
            "act bisect",
            "act conflict",
            "act keep_in_admin",
            "act loose_commit",
            "act patch_half_way",
            "act rebase_by_hand",
            "act revert_half_way",
        ),
        objects=("lost",),
    ),
    Mend(
        "C3",
        "a repository whose HEAD is damaged goes with the worktree that it lies in",
        [Edit("keep_all", Value("prove", "None"))],
        needs=("act nested_repository",),
        objects=("lost",),
    ),
    Mend(
        "C5",
        "entries that an agent drops from the stash are kept by nothing",
        [
            Edit("keep_dropped", First("return []")),
            Edit("Snapshot.take", Statement("pin")),
        ],
        needs=(
            "act clean",
            "act clear_stash",
            "act drop_stash",
        ),
        objects=("lost",),
    ),
    Mend(
        "C6",
        "another worktree inside, below an ignored directory, goes with the one around it",
        [
            Edit("refuse_worktrees_inside", First("return")),
            Edit("keep_all", Value("prove", "None")),
        ],
        needs=("act worktree",),
        objects=("lost",),
    ),
    Mend(
        "D2",
        "a link in the place of a worktree is followed",
        [
            Edit("replaced_by_link", First("return None")),
            Edit("_unfollowed", First("return Path(os.path.realpath(path))")),
            Edit("Registration.missing", First("return not self.path.is_dir()")),
        ],
        needs=("act link_place",),
        objects=(
            "status",
            "takes work",
        ),
    ),
    Mend(
        "D3",
        "a filter of the repository's own configuration is switched off, and its files are stored all the same",
        [
            Edit("refuse_unapproved", First("return")),
            Edit("refuse_unapplied", First("return")),
            Edit("refuse_raw", First("return")),
        ],
        needs=(
            "act filter_required",
            "repository filter_of_content",
            "repository filter_of_nobody",
        ),
        objects=("filtered",),
    ),
    Mend(
        "D4",
        "git is asked although no file stands where it keeps one, and what it says ends the runner",
        [
            Edit("refuse_misplaced", First("return")),
            Edit("refuse_no_file", First("return")),
            Edit("restore_misplaced", First("return []")),
            Edit("_unsound", First("raise error")),
        ],
        needs=(
            "act admin_file",
            "act odd_file",
            "repository damaged",
        ),
        objects=(
            "status",
            "takes work",
        ),
    ),
    Mend(
        "D4b",
        "a branch that its agent deleted stays away, and a repository of the agent's own is committed",
        [
            Edit("restore_branch", First("return None")),
            Edit(
                "own_repository_aside",
                First('return directory / f".git-of-agent-{int(time.time())}"'),
            ),
            Edit("_unsound", First("raise error")),
        ],
        needs=(
            "act delete_branch",
            "act rename_branch",
            "act replace_git",
            "act break_pointer",
        ),
        objects=("repository",),
    ),
    Mend(
        "D6",
        "everything that an agent left is read, however much it is, and no signal is heeded meanwhile",
        [
            Edit("refuse_too_much", First("return")),
            Edit("Bounds.excess", First("return None")),
        ],
        needs=(
            "act sparse",
            "repository low_limits",
            "repository special_files",
        ),
        objects=("limits",),
    ),
    Mend(
        "E5",
        "the system's git configuration does not count",
        [
            Edit("Git._environment", Value("base_environment", NO_SYSTEM)),
            Edit("_settings", Value("base_environment", NO_SYSTEM)),
            Edit("_common_dir", Value("base_environment", NO_SYSTEM)),
        ],
        needs=(
            "repository owned_by_another",
            "repository filter_of_content",
            "repository large_files",
            "host git_settings",
        ),
        objects=("whole",),
    ),
    Mend(
        "E7",
        "worktrees get no submodules",
        [Edit("complete", Value("fill_timed", "()"))],
        needs=("repository submodule",),
        objects=("whole",),
    ),
    Mend(
        "E9",
        "health does not try to write where runners write",
        [Edit("_writing", Value("unwritable", "[]"))],
        needs=("host read_only_home",),
        objects=("refused",),
    ),
    Mend(
        "E10",
        "health refuses to run where a setting is wrong",
        [
            Edit(
                "health",
                Statement(
                    "load_config", "settings = load_config(flags=flags, environ=os.environ, repo=repo)"
                ),
            )
        ],
        needs=("host unknown_setting",),
        objects=("refused",),
    ),
    Mend(
        "E11",
        "an empty file that a sandbox left counts as work",
        [Edit("is_placeholder", First("return False")), Edit("remove_placeholders", First("return []"))],
        needs=("act placeholders",),
        objects=("done",),
    ),
    Mend(
        "F6",
        "the run log of a program has the services' addresses in clear",
        [Edit("CommandExecutor.from_config", Statement("secrets", "secrets = frozenset()"))],
        needs=("act tell_secret",),
        objects=("secret",),
    ),
    Mend(
        "F10",
        "what a server that was there before executes for a run lives on",
        [
            Edit("supervise", First("hands_over = False")),
            Edit(
                "Family._carries",
                First(
                    "if self._first is not None and int(stat.start) < int(self._first.start):\n    return False"
                ),
            ),
            Edit("end_of_finished", First("return")),
        ],
        needs=("act hand_over",),
        objects=("alive",),
    ),
    Mend(
        "F11",
        "a worktree that vanished ends the runner, and its task stays locked",
        [Edit("_made_again", First("return record"))],
        needs=("fault worktree_deleted",),
        objects=("refused",),
    ),
    Mend(
        "D5",
        "the configuration is not looked at before a task is taken",
        [Edit("Soundness._refuse_refused_config", First("return"))],
        needs=("act break_config",),
    ),
    Mend(
        "E1",
        "a record whose holder is process 1 is refused",
        [Edit("_validate_process", First("least = 2"))],
        needs=("host pid_1",),
    ),
    Mend(
        "E2",
        "the holder of a record from a container that was made anew is nobody's to judge",
        [Edit("holder_alive", First(ALIVE_BEFORE))],
        needs=("fault container_made_anew",),
    ),
    Mend(
        "E6",
        "where the set-up of a worktree fails, its task is worked in the checkout",
        [
            Edit(
                "run_setup",
                Value("SetupFailed", 'CannotCreate(f"the set-up of the worktree {how}: {said}")'),
            )
        ],
        needs=("repository failing_set_up",),
    ),
)
