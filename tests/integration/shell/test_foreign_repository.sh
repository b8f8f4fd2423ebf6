#!/usr/bin/env bash
# In a repository of somebody else: `hpm init` there, then plain `invoke run …` does the job.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"
# shellcheck source=tests/integration/shell/claude_helpers.sh
source "$TEST_SCRIPTS/claude_helpers.sh"

start_claude <<'JSON'
{"rules": [{"match": "Write the file (\\w+)", "steps": [
    {"write": {"path": "${1}.txt", "content": "hello\n"}},
    {"outcome": {"status": "done", "summary": "wrote it"}}]}]}
JSON
start_board
new_repository shop
mkdir shop/src
cd shop/src

assert_exit 0 hpm init
assert_equal "the repository is as clean as before" "" "$(git status --porcelain)"
assert_contains "the commands are tasks there" "worktree" "$(invoke --list)"

run=(invoke run --role backend_dev --agent-id dev_001 --single-task)
assert_exit 3 "${run[@]}"
minor=$(add_task "Minor" backend_dev junior minor --description "Write the file small")
major=$(add_task "Major" backend_dev senior major --description "Write the file large")
assert_exit 0 "${run[@]}"
assert_equal "the minor task is done" dev_done "$(board_task "$minor" status)"
assert_equal "on the current branch" hello "$(git show main:small.txt)"
assert_exit 0 "${run[@]}" --json
assert_equal "the major task is done" dev_done "$(board_task "$major" status)"
assert_equal "on its own branch" hello "$(git show "feature/task-$major:large.txt")"
assert_equal "its events are JSON, one on a line" ended "$(tail -n 1 <<<"$OUT" | json "data['event']")"
assert_equal "git never saw our files" "README.md small.txt" "$(git -C .. ls-tree --name-only main | tr '\n' ' ' | sed 's/ $//')"
assert_equal "and nothing is left over" "" "$(git status --porcelain)$(invoke locks)"
cd "$TEST_DIR"
assert_exit 3 hpm run --repo "$TEST_DIR/work/shop" --role backend_dev --agent-id dev_001 --single-task
