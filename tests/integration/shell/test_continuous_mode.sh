#!/usr/bin/env bash
# The runner in continuous mode: takes one task after the other, picks up what comes later, and is gone at
# once when it is told to stop.
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
new_repository "$TEST_DIR/work/project"
cd "$TEST_DIR/work/project"

first=$(add_task "First" backend_dev junior minor --description "Write the file first")
second=$(add_task "Second" backend_dev senior major --description "Write the file second")
hpm run --role backend_dev --agent-id dev_001 --json >"$TEST_DIR/events" 2>"$TEST_DIR/messages" &
runner=$!
TEST_PIDS+=("$runner")
# Looked for in its events: to ask the board again and again would cost more than the work itself.
finished() { grep -q "\"task_finished\".*\"task\": $1\b" "$TEST_DIR/events"; }
wait_until finished "$first"
wait_until finished "$second"
third=$(add_task "Third" backend_dev junior minor --description "Write the file third")
wait_until finished "$third"
for id in "$first" "$second" "$third"; do
    assert_equal "task $id is done" dev_done "$(board_task "$id" status)"
done

kill -TERM "$runner"
code=0
wait "$runner" || code=$?
assert_equal "SIGTERM while idle" 143 "$code"
assert_equal "no record is left" "" "$(invoke locks)"
assert_equal "every line is one JSON object" 0 "$(python3 -c '
import json, sys
print(sum(not isinstance(json.loads(line), dict) for line in open(sys.argv[1])))' "$TEST_DIR/events")"

assert_exit 2 invoke run --role backend_dev --agent-id dev_001 --max-tasks 0
