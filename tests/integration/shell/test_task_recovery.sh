#!/usr/bin/env bash
# SIGKILL in the middle of the agent's work: the next start ends the orphan, resumes the session in the
# same worktree and finishes the task, by the runner and by the shell runner of examples/.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"
# shellcheck source=tests/integration/shell/claude_helpers.sh
source "$TEST_SCRIPTS/claude_helpers.sh"

start_claude <<'JSON'
{"rules": [
    {"match": "Write the file (\\w+)", "prompt": 1, "steps": [
        {"write": {"path": "${1}.txt", "content": "begun\n"}}, {"hang": true}]},
    {"match": "Write the file (\\w+)", "prompt": 2, "steps": [
        {"write": {"path": "${1}_2.txt", "content": "resumed\n"}},
        {"outcome": {"status": "done", "summary": "finished it"}}]}]}
JSON
start_board

child_pid() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["child"]["pid"])' "$1"; }
begun() { [[ -s $1/.worktrees/task-$2/killed_$3.txt ]]; }
gone() { ! kill -0 "$1" 2>/dev/null; }

for way in run shell; do
    repository=$TEST_DIR/work/$way
    record=$HEADLESS_PM_HOME/locks/agent-dev_$way.lock
    new_repository "$repository"
    cd "$repository"
    id=$(add_task "Killed $way" backend_dev senior major --description "Write the file killed_$way")

    single_task "$way" backend_dev "dev_$way" >"$TEST_DIR/$way.log" 2>&1 &
    runner=$!
    TEST_PIDS+=("$runner")
    wait_until begun "$repository" "$id" "$way"
    agent=$(child_pid "$record")
    # The way runs in a subshell of ours; what must die is the runner inside it, and all that it started but the agent.
    pkill_tree() {
        local child
        for child in $(ps -o pid= --ppid "$1" 2>/dev/null); do
            [[ $child == "$agent" ]] || pkill_tree "$child"
        done
        kill -KILL "$1" 2>/dev/null || true
    }
    pkill_tree "$runner"
    wait "$runner" 2>/dev/null || true
    assert_equal "$way: the task is still under work" under_work "$(board_task "$id" status)"

    assert_exit 0 single_task "$way" backend_dev "dev_$way"
    wait_until gone "$agent"
    assert_equal "$way: resumed and done" dev_done "$(board_task "$id" status)"
    assert_equal "$way: told once" "pending created under_work dev_done" "$(history "$id")"
    assert_equal "$way: the first run's work is kept" begun "$(git show "feature/task-$id:killed_$way.txt")"
    assert_equal "$way: the second run's work too" resumed "$(git show "feature/task-$id:killed_${way}_2.txt")"
    assert_missing "$record"
done
