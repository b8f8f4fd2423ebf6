#!/usr/bin/env bash
# A maker's work goes to qa: accepted, and rejected with findings, on both kinds of board.
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

for mode in exact upstream; do
    if [[ $mode == upstream ]]; then
        kill -TERM "$BOARD_PID"
        wait "$BOARD_PID" || true
        rm -f "$TEST_DIR"/board.sqlite* "$TEST_DIR/board.out"
        start_board --upstream
    else
        start_board
    fi
    new_repository "$TEST_DIR/work/$mode"
    cd "$TEST_DIR/work/$mode"

    id=$(add_task "Good" backend_dev senior major --description "Write the file good_$mode")
    assert_exit 0 single_task run backend_dev dev_001
    assert_exit 0 single_task run qa qa_001
    assert_equal "$mode: accepted" qa_done "$(board_task "$id" status)"
    assert_equal "$mode: exactly what happened" "pending created under_work dev_done under_work qa_done" "$(history "$id")"
    assert_missing ".worktrees/task-$id-qa"

    id=$(add_task "Bad" backend_dev senior major --description "Write the file bad_$mode")
    assert_exit 0 single_task run backend_dev dev_001
    assert_exit 0 single_task run qa qa_001
    assert_equal "$mode: rejected" created "$(board_task "$id" status)"
    assert_contains "$mode: with its findings" "bad.txt says nothing" "$(board_task "$id" notes)"
    assert_equal "$mode: unlocked" null "$(board_task "$id" locked_by)"
    # So that the next maker of this board does not take it.
    hpm pm.status --agent-id hpm_pm --task-id "$id" --status pending >/dev/null
done
