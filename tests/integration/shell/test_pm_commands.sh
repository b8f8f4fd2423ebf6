#!/usr/bin/env bash
# pm.*: the board's operations from the shell, on both kinds of board.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"

check_board() {
    local id second ids seen
    assert_equal "$1: register says the id" dev_001 "$(invoke pm.register --agent-id dev_001 --role backend_dev --level senior)"
    assert_exit 0 hpm pm.register --agent-id dev_001 --role qa --level senior
    assert_contains "$1: another role is told" "warning:" "$ERR"
    assert_exit 3 invoke pm.next --role backend_dev
    assert_equal "$1: no task is an empty list" "" "$(hpm pm.tasks)"

    id=$(invoke pm.add --title 'Add a --version flag' --role backend_dev --difficulty junior --complexity minor)
    assert_equal "$1: a task is offered" created "$(board_task "$id" status)"
    assert_equal "$1: pm.next names it" "$id" "$(hpm pm.next --role backend_dev --level junior)"
    assert_exit 3 hpm pm.next --role frontend_dev
    second=$(printf 'Long\ntext' | hpm pm.add --title Second --role backend_dev --description - --pending)
    assert_equal "$1: --pending keeps one back" pending "$(board_task "$second" status)"
    assert_equal "$1: its text came by standard input" $'Long\ntext' "$(board_task "$second" description)"
    assert_equal "$1: both lie in one feature" "$(board_task "$id" feature_id)" "$(board_task "$second" feature_id)"

    assert_equal "$1: pm.task says the status" $'created\npending' \
        "$(invoke pm.task --task-id "$id" pm.task --task-id "$second")"
    assert_equal "$1: or all of it" minor "$(hpm pm.task --task-id "$id" --json | json "data['complexity']")"
    assert_equal "$1: pm.status sets one" created "$(invoke pm.status --agent-id hpm_pm --task-id "$second" --status created)"
    assert_exit 0 hpm pm.status --agent-id hpm_pm --task-id "$second" --status created
    assert_contains "$1: and says that it was set already" "created already" "$ERR"
    assert_equal "$1: a comment comes by pipe" "$id" \
        "$(echo 'from a pipe' | invoke pm.comment --agent-id dev_001 --task-id "$id")"
    assert_contains "$1: and is on the board" "dev_001: from a pipe" "$(board_task "$id" notes)"
    assert_equal "$1: the list is filtered" "$second $id" \
        "$(hpm pm.tasks --status created --json | json "' '.join(str(task['id']) for task in data['tasks'])")"

    # A loop over ids keeps its input.
    ids=$TEST_DIR/ids-$1
    printf '%s\n' "$id" "$second" "$id" >"$ids"
    seen=$(while read -r one; do hpm pm.task --task-id "$one"; done <"$ids")
    assert_equal "$1: a loop keeps its input" "created created created" "${seen//$'\n'/ }"
}

start_board
check_board exact

assert_exit 65 invoke pm.task --task-id 987
assert_exit 65 hpm pm.status --agent-id dev_001 --status created --task-id 987
assert_exit 65 hpm pm.comment --agent-id dev_001 --comment x --task-id 987
assert_exit 2 hpm pm.add --title x --role fullstack_dev
assert_exit 2 invoke pm.next --role wizard
assert_contains "the valid roles are listed" backend_dev "$ERR"
HEADLESS_PM_API_KEY=wrong assert_exit 77 invoke pm.tasks
HEADLESS_PM_API_KEY='' assert_exit 77 hpm pm.tasks --json
assert_equal "an error as JSON" refused "$(json "data['error']['code']" <<<"$ERR")"

kill -TERM "$BOARD_PID"
code=0
wait "$BOARD_PID" || code=$?
assert_equal "the board ends when told to" 0 "$code"
assert_exit 69 invoke pm.tasks

rm -f "$TEST_DIR"/board.sqlite* "$TEST_DIR/board.out"
start_board --upstream
check_board upstream

# The board's file outlives it, and another program's is never written into.
assert_exit 2 invoke pm.serve --port 70000
printf 'no database' >"$TEST_DIR/other.db"
assert_exit 65 hpm pm.serve --port 0 --db "$TEST_DIR/other.db"
assert_equal "the file is untouched" "no database" "$(<"$TEST_DIR/other.db")"
