# shellcheck shell=bash
# What the test scripts share; setup_test_env.sh sources it. A check that does not hold ends the script.

readonly SKIPPED=77

CHECKS=0

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# Ends the script as skipped, loudly: the runner counts it and shows the reason.
skip() {
    printf 'SKIPPED: %s\n' "$*"
    exit "$SKIPPED"
}

passed() {
    CHECKS=$((CHECKS + 1))
    printf 'ok %d - %s\n' "$CHECKS" "$*"
}

# assert_equal WHAT EXPECTED ACTUAL
assert_equal() {
    [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"
    passed "$1"
}

# assert_contains WHAT PART TEXT
assert_contains() {
    [[ $3 == *"$2"* ]] || fail "$1: '$2' is not in: $3"
    passed "$1"
}

# assert_exit CODE COMMAND...: its output is left in $OUT and $ERR.
assert_exit() {
    local expected=$1 code=0
    shift
    "$@" >"$TEST_DIR/out" 2>"$TEST_DIR/err" || code=$?
    # shellcheck disable=SC2034  # for the caller
    OUT=$(<"$TEST_DIR/out")
    ERR=$(<"$TEST_DIR/err")
    [[ $code -eq $expected ]] || fail "exit code of '$*': expected $expected, got $code; stderr: $ERR"
    passed "'$1 ${2:-}' ends with $expected"
}

# assert_missing PATH / assert_exists PATH
assert_missing() {
    [[ ! -e $1 ]] || fail "$1 exists"
    passed "$1 is not there"
}
assert_exists() {
    [[ -e $1 ]] || fail "$1 does not exist"
    passed "$1 is there"
}

# Seconds until what should have happened never will: no measure of speed, under whatever load.
readonly PATIENCE=600

# wait_until COMMAND...: polls a condition.
wait_until() {
    local deadline=$((SECONDS + PATIENCE))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || fail "this did not come true in time: $*"
        sleep 0.2
    done
}

# quick_python ARGUMENT...: Python without what is installed beside it; most of what these scripts do is start it.
quick_python() { python3 -I -S "$@"; }

# json EXPRESSION: reads one JSON value on stdin as `data` and prints the Python expression.
json() {
    quick_python -c 'import json, sys
data = json.load(sys.stdin)
value = eval(sys.argv[1])
print(value if isinstance(value, str) else json.dumps(value))' "$1"
}

# first_line FILE PID: the first line that a started server writes, once it is there.
first_line() {
    local line deadline=$((SECONDS + PATIENCE))
    until { read -r line <"$1"; } 2>/dev/null; do
        kill -0 "$2" 2>/dev/null || fail "the server ended: $(<"$1.err")"
        ((SECONDS < deadline)) || fail "the server said nothing in time: $(<"$1.err")"
        sleep 0.1
    done
    printf '%s\n' "$line"
}

# start_board [OPTION...]: a board of our own on a free port; sets HEADLESS_PM_API_URL and the key.
# A board named by HPM_TEST_BOARD_URL is used instead, only if it holds no task and no agent.
start_board() {
    export HEADLESS_PM_API_KEY=${HPM_TEST_BOARD_KEY:-test-key-of-no-value}
    if [[ -n ${HPM_TEST_BOARD_URL:-} ]]; then
        export HEADLESS_PM_API_URL=$HPM_TEST_BOARD_URL
        require_empty_board
        return
    fi
    hpm pm.serve --port 0 --db "$TEST_DIR/board.sqlite" --key-env HEADLESS_PM_API_KEY "$@" \
        >"$TEST_DIR/board.out" 2>"$TEST_DIR/board.out.err" &
    BOARD_PID=$!
    TEST_PIDS+=("$BOARD_PID")
    HEADLESS_PM_API_URL=$(first_line "$TEST_DIR/board.out" "$BOARD_PID")
    export HEADLESS_PM_API_URL
}

require_empty_board() {
    local tasks agents
    tasks=$(board_get /api/v1/tasks)
    agents=$(board_get /api/v1/agents)
    [[ $tasks == '[]' && $agents == '[]' ]] ||
        fail "the board at $HPM_TEST_BOARD_URL is in use: tests only touch an empty one"
}

# board_get PATH [EXPRESSION]: what the board itself answers, past all of our code; as `json` prints it of `data`.
board_get() {
    quick_python - "$HEADLESS_PM_API_URL$1" "$HEADLESS_PM_API_KEY" "${2-}" <<'PYTHON'
import http.client, json, sys
url, key, expression = sys.argv[1:]
scheme, _, rest = url.partition("://")
host, _, path = rest.partition("/")
connect = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
connection = connect(host, timeout=300)
connection.request("GET", f"/{path}", headers={"X-API-Key": key})
answer = connection.getresponse()
body = answer.read().decode()
if answer.status != 200:
    sys.exit(f"{url}: {answer.status} {body}")
if expression:
    data = json.loads(body)
    value = eval(expression)
    body = value if isinstance(value, str) else json.dumps(value)
sys.stdout.write(body)
PYTHON
}

# board_task ID FIELD: one field of a task as the board has it.
board_task() {
    board_get /api/v1/tasks "next(task for task in data if task['id'] == $1)['$2']"
}

# start_messages SCENARIO_FILE: a scripted Messages API on loopback for the real Claude CLI.
start_messages() {
    python3 "$PROJECT/tests/support/messages_endpoint.py" --script "$1" --port 0 --log "$TEST_DIR/requests.jsonl" \
        >"$TEST_DIR/messages.out" 2>"$TEST_DIR/messages.out.err" &
    MESSAGES_PID=$!
    TEST_PIDS+=("$MESSAGES_PID")
    ANTHROPIC_BASE_URL=$(first_line "$TEST_DIR/messages.out" "$MESSAGES_PID")
    export ANTHROPIC_BASE_URL ANTHROPIC_API_KEY=dummy-key-of-no-value
    use_bundled_claude
}

# The real CLI, as the dev extra claude-agent-sdk bundles it.
use_bundled_claude() {
    local path
    # Looked for and not imported, which takes a second.
    path=$(python3 -c 'import importlib.util, pathlib
print(pathlib.Path(importlib.util.find_spec("claude_agent_sdk").origin).parent / "_bundled" / "claude")')
    [[ -x $path ]] || skip "claude-agent-sdk bundles no Claude CLI for this machine"
    # Without its runtime's optimizing compiler it costs a third less (tests/support/fixtures_claude.py).
    printf '#!/bin/sh\nexport BUN_JSC_useDFGJIT=0\nexec %q "$@"\n' "$path" >"$TEST_DIR/claude"
    chmod +x "$TEST_DIR/claude"
    export HEADLESS_PM_CLAUDE_PATH=$TEST_DIR/claude
}

# new_repository DIR: a git repository with one commit on main.
new_repository() {
    git init -q -b main "$1"
    git -C "$1" config user.name Test
    git -C "$1" config user.email test@example.invalid
    printf 'A repository for tests.\n' >"$1/README.md"
    git -C "$1" add README.md
    git -C "$1" commit -q -m 'First commit'
}

# add_task TITLE ROLE DIFFICULTY COMPLEXITY [OPTION...]: a task that is offered to agents; prints its id.
add_task() {
    local title=$1 role=$2 difficulty=$3 complexity=$4
    shift 4
    hpm pm.add --title "$title" --role "$role" --difficulty "$difficulty" --complexity "$complexity" "$@"
}
