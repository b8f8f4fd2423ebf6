"""The mends of exclusion (A), of "done means done" (B) and of security (F2, F3, F7, F9), as edits that take them out."""

from __future__ import annotations

from tests.campaign.edits import Condition, Edit, First, Statement
from tests.worlds.mends import Mend

MENDS = (
    Mend(
        "A1",
        "a place is free as soon as the process that held it is dead, whatever of its run is alive there",
        [
            Edit("_has_living", First("return False")),
            Edit("_strangers", First("return None")),
            Edit("refuse_inhabited", First("return")),
        ],
        needs=(
            "fault kill_runner + runners 2",
            "fault kill_runner + runners 3",
        ),
        objects=("two agents",),
    ),
    Mend(
        "A2",
        "a lock that lapsed, and that nobody took, is a loss where it is noticed at the report",
        [
            Edit("_tell_under_lock", First("_tell(tools, record, ending, lease.of_record(record))\nreturn")),
            Edit("_hold", First("return record")),
        ],
        needs=(
            "fault lapse",
            "fault suspend",
        ),
    ),
    Mend(
        "A3",
        "nothing names a task that is under work and held by nobody",
        [
            Edit("unheld", First("return []")),
            Edit("held_without_record", First("return []")),
        ],
        needs=(
            "fault host_died",
            "fault state_lost",
        ),
        objects=("status",),
    ),
    Mend(
        "A4",
        "an agent id that is at work on another host, too, is not noticed",
        [
            Edit("foreign", First("return None")),
            Edit("suspect", First("return None")),
            Edit("refuse_second_taker", First("return")),
        ],
        needs=(
            "fault twin_runs",
            "fault twin_registers",
        ),
    ),
    Mend(
        "A5",
        "another agent's unfinished work in the checkout is taken for somebody's changes",
        [Edit("_left_unfinished", First("return None"))],
        needs=(
            "fault kill_runner + runners 2 + task minor",
            "fault kill_runner + runners 3 + task minor",
            "fault kill_runner_and_agents + runners 2 + task minor",
            "fault kill_runner_and_agents + runners 3 + task minor",
        ),
    ),
    Mend(
        "A6",
        "`lock` takes what the board does not offer to the role, and `finish` sets reported work back",
        [
            Edit("_refuse_not_offered", First("return")),
            Edit("_never_back", First("return ending")),
        ],
        needs=(
            "person locks_task",
            "person locks_done_task",
        ),
    ),
    Mend(
        "B1",
        "what the worktree's set-up did counts as the agent's work",
        [Edit("_prepared", First("return {}"))],
        needs=(
            "repository set_up_worktree",
            "repository copied_files",
        ),
    ),
    Mend(
        "B2",
        "a commit is work, whatever is in it",
        [Edit("Evidence.worked", First("if self.commits:\n    return True"))],
        needs=(
            "act commit_empty",
            "act revert",
            "act commit_and_revert",
        ),
    ),
    Mend(
        "B3",
        "a file that counts as modified right after the checkout is work",
        # The second edit alone is B1's: git may see such a file as modified as soon as the set-up is over.
        [Edit("_as_checked_out", First("return False")), Edit("_prepared", First("return {}"))],
        needs=(
            "repository attributes",
            "repository filter_of_content",
            "repository large_files",
            "repository odd_settings",
        ),
    ),
    Mend(
        "B4",
        "a task that needed no change looks like any that is done",
        [Edit("is_no_change", First("return False"))],
        needs=("outcome no_change",),
    ),
    Mend(
        "B5",
        "nobody looks into submodules",
        [
            Edit("_changed_submodules", First("return []")),
            Edit("uncommitted", Statement("_below", "return []")),
        ],
        needs=("repository submodule + act in_submodule",),
    ),
    Mend(
        "B6",
        "the work of every task that has a branch is said to be there",
        [
            Edit(
                "_with_commits",
                First(
                    "return replace(kept, branch=record.branch_name, commits=1, commit=record.base, changes=True)"
                ),
            )
        ],
        needs=(
            "outcome blocked",
            "outcome failed",
            "outcome silent_failure",
        ),
    ),
    Mend(
        "B7",
        "an agent's work outside its place is neither looked for nor named",
        [
            Edit("resolve", First('return record, found, ""')),
            Edit("settle", Statement("_find", "found = None")),
        ],
        needs=(
            "act stash",
            "act work_and_stash",
            "act worktree",
            "act own_branch",
            "act detach",
            "act clone",
            "act outside",
        ),
    ),
    Mend(
        "B8",
        "a move of a ref by another run of this host is told as an agent's",
        [Edit("known.by_a_run", First("return False"))],
        needs=("runners 2", "runners 3"),
    ),
    Mend(
        "B9",
        "git takes in whatever was left behind, however much it is",
        [Edit("Bounds.excess", First("return None"))],
        needs=("act many_files",),
    ),
    Mend(
        "B11",
        "exit code 0 means done, whatever the operator says of it",
        [
            Edit(
                "_by_exit_code",
                First('if code == 0:\n    return Outcome("done", last_line[:SUMMARY_LIMIT])'),
            )
        ],
        needs=(
            "outcome silent",
            "outcome printed",
        ),
    ),
    Mend(
        "B12",
        "a record that says done is told to the board as it stands",
        [
            Edit("believed", Statement("_look_again", "parked, fields = None, {}")),
            Edit("with_evidence", First("return ending, {}")),
            Edit("back_to_report", First("return record")),
            Edit("not_lost", First("return record")),
        ],
        needs=(
            "act forge_record",
            "fault record_forged",
        ),
    ),
    Mend(
        "F2",
        "refs other than branches and tags are not watched, and any ref is started from as it is",
        [
            Edit(
                "keep_before",
                First(
                    "watched = (HEADS, 'refs/tags/', OURS)\n"
                    "before = {name: oid for name, oid in before.items() if name.startswith(watched)}"
                ),
            ),
            Edit("_new", Condition(True, test=["OURS", "STASH"])),
            Edit("believed", Condition(True, test=["doubts", "at_work"])),
        ],
        needs=(
            "act reference",
            "act move_main",
            "act move_main_head",
        ),
    ),
    Mend(
        "F3",
        "a branch is made whatever else git reads its name as",
        [Edit("Branches._refusal", First('return ""'))],
        needs=(
            "repository board_branch",
            "repository the_tasks_branch",
            "repository ambiguous_names",
            "fault branch_changed",
        ),
    ),
    Mend(
        "F7",
        "a file of the state directory is written through a hard link",
        [Edit("_problem", Condition(False, test=["st_nlink"]))],
        needs=(
            "act hard_link",
            "fault guard_replaced",
            "repository special_files",
        ),
    ),
    Mend(
        "F9",
        "git-lfs asks the server that the repository's files name",
        [
            Edit(
                "base_environment",
                Statement(
                    "absolute_path",
                    "told = {name: value for name, value in SET.items() if name != 'GIT_LFS_SKIP_SMUDGE'}\n"
                    "return {**kept, **told, 'PATH': absolute_path()}",
                ),
            )
        ],
        needs=("repository large_files",),
    ),
)
