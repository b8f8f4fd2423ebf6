#!/usr/bin/env bash
# A maker's work goes to qa: accepted on one kind of board, rejected with findings on the other.
# tests/integration/test_runner.py has each of them on both.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"
# shellcheck source=tests/integration/shell/claude_helpers.sh
source "$TEST_SCRIPTS/claude_helpers.sh"

start_claude <<'JSON'
{"rules": [
    {"match": "Judge the work[\\s\\S]*good_\\w+", "steps": [
        {"outcome": {"status": "done", "summary": "it works"}}]},
    {"match": "Judge the work", "steps": [
        {"outcome": {"status": "rejected", "summary": "it does not", "findings": ["bad.txt says nothing"]}}]},
    {"match": "Write the file (\\w+)", "steps": [
        {"write": {"path": "${1}.txt", "content": "hello\n"}},
        {"outcome": {"status": "done", "summary": "wrote it"}}]}]}
JSON

work_and_judge() { # work_and_judge NAME: sets id, in a repository of its own
    new_repository "$TEST_DIR/work/$1"
    cd "$TEST_DIR/work/$1"
    id=$(add_task "$1" backend_dev senior major --description "Write the file $1")
    assert_exit 0 single_task run backend_dev dev_001
    assert_equal "$1: the maker's status" dev_done "$(board_task "$id" status)"
    assert_equal "$1: its file is on its branch" hello "$(git show "feature/task-$id:$1.txt")"
    assert_equal "$1: and not on main" "" "$(git ls-tree main "$1.txt")"
    assert_missing ".worktrees/task-$id"
    assert_exit 0 single_task run qa qa_001
    assert_equal "$1: unlocked" null "$(board_task "$id" locked_by)"
    assert_missing ".worktrees/task-$id-qa"
    assert_equal "$1: no record is left" "" "$(hpm locks)"
}

start_board
work_and_judge good_work
assert_equal "accepted" qa_done "$(board_task "$id" status)"
assert_equal "exactly what happened" "pending created under_work dev_done under_work qa_done" "$(history "$id")"

kill -TERM "$BOARD_PID"
wait "$BOARD_PID" || true
rm -f "$TEST_DIR"/board.sqlite* "$TEST_DIR/board.out"
start_board --upstream
work_and_judge bad
assert_equal "rejected" created "$(board_task "$id" status)"
assert_contains "with its findings" "bad.txt says nothing" "$(board_task "$id" notes)"
assert_equal "the board tells both" "pending created under_work dev_done under_work created" "$(history "$id")"
