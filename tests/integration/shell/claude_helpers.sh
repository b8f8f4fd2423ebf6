# shellcheck shell=bash
# For scripts that run the real Claude CLI against the scripted endpoint, in three ways of running.
# Two of them are the same script (tests/unit/test_explain.py), so that each is played by one of the scripts only.

# start_claude: the scripted endpoint with the scenario (JSON) on stdin, and the real CLI pointed at it.
start_claude() {
    cat >"$TEST_DIR/scenario.json"
    start_messages "$TEST_DIR/scenario.json"
}

# single_task WAY ROLE AGENT: works one task in the current directory, with the way's exit code.
single_task() {
    case $1 in
        run) invoke run --role "$2" --agent-id "$3" --level principal --single-task ;;
        shell) SINGLE_TASK=yes ROLE=$2 AGENT_ID=$3 RETRY_PAUSE=0.2 bash "$PROJECT/examples/shell_runner.sh" ;;
        explain)
            hpm run --role "$2" --agent-id "$3" --level principal --single-task --explain >"$TEST_DIR/explained.sh"
            RETRY_PAUSE=0.2 bash "$TEST_DIR/explained.sh"
            ;;
    esac
}

# history ID: the statuses that the board's changelog has for the task, oldest first.
history() {
    board_get '/api/v1/changelog?limit=-1' \
        "' '.join(row['new_status'] for row in reversed(data) if row['task_id'] == $1)"
}
