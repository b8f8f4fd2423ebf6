#!/usr/bin/env bash
# claude.*: the real CLI by hand: a bare run, a run for a locked task, and its report.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"
# shellcheck source=tests/integration/shell/claude_helpers.sh
source "$TEST_SCRIPTS/claude_helpers.sh"

start_claude <<'JSON'
{"rules": [
    {"match": "Give up", "steps": [{"outcome": {"status": "blocked", "summary": "there is no database"}}]},
    {"match": "Wait for ever", "steps": [{"hang": true}]},
    {"match": "Write the file (\\w+)", "steps": [
        {"write": {"path": "${1}.txt", "content": "hello\n"}},
        {"outcome": {"status": "done", "summary": "wrote it"}}]}]}
JSON
start_board
new_repository repo
cd repo
root=$PWD

assert_equal "a junior task's model" sonnet "$(hpm claude.model --difficulty junior)"
assert_equal "a principal task's model" opus "$(invoke claude.model --difficulty principal)"
assert_exit 0 invoke claude.check
assert_contains "the CLI is named" "$HEADLESS_PM_CLAUDE_PATH" "$OUT"
HEADLESS_PM_CLAUDE_PATH=/nowhere assert_exit 78 hpm claude.check

# A bare run knows no task: its prompt is on standard input or in a file.
assert_exit 0 invoke claude.exec --difficulty junior <<<"Write the file bare"
assert_contains "its summary is the output" "wrote it" "$OUT"
assert_equal "the work is there, uncommitted" "?? bare.txt" "$(git status --porcelain)"
printf 'Give up\n' >"$TEST_DIR/prompt"
assert_exit 1 hpm claude.exec --prompt-file "$TEST_DIR/prompt" --json
assert_equal "blocked" "blocked: there is no database" "$(json "data['kind'] + ': ' + data['summary']" <<<"$OUT")"
assert_exit 124 invoke claude.exec --timeout 3 <<<"Wait for ever"
assert_exit 2 hpm claude.exec </dev/null
assert_exit 3 invoke claude.exec --agent-id dev_001
rm bare.txt

# For a task: lock, run, report, unlock, step by step.
id=$(add_task "By hand" backend_dev senior major --description "Write the file by_hand")
hpm pm.register --agent-id dev_001 --role backend_dev --level principal >/dev/null
held=(--agent-id dev_001 --token "$(hpm lock --agent-id dev_001 --task-id "$id")")
assert_exit 2 invoke finish "${held[@]}"
assert_contains "without a verdict there is nothing to report" "claude.exec" "$ERR"
place=$(invoke worktree.add "${held[@]}")
assert_equal "its place" "$root/.worktrees/task-$id" "$place"
assert_exit 0 hpm claude.exec "${held[@]}"
assert_equal "only the summary is the output" "done: wrote it" "$OUT"
assert_equal "the board says so" under_work "$(board_task "$id" status)"
assert_exit 0 hpm finish "${held[@]}"
assert_equal "the new status" dev_done "$OUT"
assert_exit 0 invoke finish "${held[@]}"
assert_equal "asked again it says the same" dev_done "$OUT"
assert_equal "the work is on its branch" hello "$(git show "feature/task-$id:by_hand.txt")"
assert_equal "told once" "pending created under_work dev_done" "$(history "$id")"
assert_exit 0 invoke worktree.remove "${held[@]}" unlock "${held[@]}"
assert_missing "$place"
assert_equal "after the report the board is left alone" dev_done "$(board_task "$id" status)"
assert_equal "nothing is left" "" "$(hpm locks)$(git status --porcelain)"

# A blocked task is parked with its reason; a verdict may come from somewhere else.
id=$(add_task "Blocked" backend_dev senior major --description "Give up")
hpm lock --agent-id dev_001 --task-id "$id" >/dev/null
assert_exit 1 invoke claude.exec --agent-id dev_001 --json unlock --agent-id dev_001
printf '%s' "$OUT" >"$TEST_DIR/verdict"
assert_exit 1 invoke finish --agent-id dev_001 --verdict - <"$TEST_DIR/verdict"
assert_equal "parked" pending "$OUT"
assert_contains "with its reason" "there is no database" "$(board_task "$id" notes)"
assert_exit 0 hpm unlock --agent-id dev_001
