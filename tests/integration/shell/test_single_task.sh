#!/usr/bin/env bash
# One task, with the real Claude CLI: minor on the current branch, major on its own, by the runner and by what
# `run --explain` prints. test_dev_to_qa_flow.sh has the other kind of board.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"
# shellcheck source=tests/integration/shell/claude_helpers.sh
source "$TEST_SCRIPTS/claude_helpers.sh"

start_claude <<'JSON'
{"rules": [{"match": "Write the file (\\w+)", "steps": [
    {"write": {"path": "${1}.txt", "content": "hello\n"}},
    {"outcome": {"status": "done", "summary": "wrote it"}}]}]}
JSON

in_repository() {
    new_repository "$1"
    cd "$1"
}

check_minor() { # check_minor WAY
    local way=$1 id
    id=$(add_task "Minor $way" backend_dev junior minor --description "Write the file minor_$way")
    assert_exit 0 single_task "$way" backend_dev dev_001
    assert_equal "$way: the minor task" dev_done "$(board_task "$id" status)"
    assert_equal "$way: its file is committed on main" hello "$(git show "main:minor_$way.txt")"
    assert_equal "$way: the checkout is clean" "" "$(git status --porcelain)"
}

check_major() { # check_major WAY
    local way=$1 id
    id=$(add_task "Major $way" backend_dev senior major --description "Write the file major_$way")
    assert_exit 0 single_task "$way" backend_dev dev_001
    assert_equal "$way: the major task" dev_done "$(board_task "$id" status)"
    assert_equal "$way: its file is on its branch" hello "$(git show "feature/task-$id:major_$way.txt")"
    assert_equal "$way: and not on main" "" "$(git ls-tree main "major_$way.txt")"
    assert_missing ".worktrees/task-$id"
    assert_equal "$way: the board's lock is free" null "$(board_task "$id" locked_by)"
    assert_equal "$way: told once" "pending created under_work dev_done" "$(history "$id")"

    assert_exit 3 single_task "$way" backend_dev dev_001
    assert_equal "$way: no record is left" "" "$(hpm locks)"
}

start_board
for way in run explain; do
    in_repository "$TEST_DIR/work/$way"
    check_minor "$way"
    check_major "$way"
done
