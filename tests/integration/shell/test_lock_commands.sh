#!/usr/bin/env bash
# lock, unlock, locks and recover: by hand, for a script that lives, and for one that has died.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"

record() { printf '%s/locks/agent-%s.lock' "$HEADLESS_PM_HOME" "$1"; }

# With --local neither a board nor a configuration is needed.
token=$(hpm lock --agent-id hand_001 --task-id 7 --local)
assert_equal "the record is private" 600 "$(stat -c %a "$(record hand_001)" 2>/dev/null || stat -f %Lp "$(record hand_001)")"
assert_equal "the record names the task" 7 "$(json "data['task_id']" <"$(record hand_001)")"
assert_equal "locking again gives the same token" "$token" "$(invoke lock --agent-id hand_001 --task-id 7 --local)"
assert_exit 75 invoke lock --agent-id hand_001 --task-id 8 --local
assert_contains "locks shows it" "hand_001" "$(invoke locks)"
assert_equal "unlock says which" 7 "$(invoke unlock --agent-id hand_001 --local)"
assert_exit 3 hpm unlock --agent-id hand_001 --local
assert_equal "no record is an empty list" '{"locks": []}' "$(hpm locks --json)"

start_board
new_repository repo
cd repo
id=$(add_task "A task" backend_dev senior major)
other=$(add_task "Another task" backend_dev senior major)
invoke pm.register --agent-id dev_001 --role backend_dev --level principal \
    pm.register --agent-id dev_002 --role backend_dev --level principal >/dev/null

# A pipeline from the board into the lock, with this script as the living holder.
token=$(hpm pm.next --role backend_dev --json | invoke lock --agent-id dev_001 --owner-pid $$ --task -)
assert_equal "the board has the lock" dev_001 "$(board_task "$id" locked_by)"
assert_exit 75 hpm lock --agent-id dev_002 --task-id "$id"
assert_exit 75 invoke lock --agent-id dev_001 --task-id "$other"
assert_equal "its own holder needs no token" "$id" "$(invoke unlock --agent-id dev_001 --json | json "data['task_id']")"
assert_equal "given back" null "$(board_task "$id" locked_by)"
assert_equal "as it was offered" created "$(board_task "$id" status)"

# A record whose holder lives needs its token; one whose holder has died is recovered.
sleep 600 &
owner=$!
TEST_PIDS+=("$owner")
token=$(hpm lock --agent-id dev_001 --task-id "$id" --owner-pid "$owner")
assert_exit 75 hpm unlock --agent-id dev_001
assert_contains "it says what is needed" "--token" "$ERR"
assert_exit 75 invoke unlock --agent-id dev_001 --token wrong
assert_exit 75 hpm recover --agent-id dev_001
assert_exit 3 invoke recover --agent-id dev_002
assert_equal "the lock is the living holder's" alive "$(hpm locks --json | json "data['locks'][0]['alive']")"
kill -KILL "$owner"
wait "$owner" 2>/dev/null || true
assert_equal "and then a dead one's" dead "$(invoke locks --json | json "data['locks'][0]['alive']")"
read -r new_token task next <<<"$(hpm recover --agent-id dev_001 --owner-pid $$)"
assert_equal "recover says the task" "$id" "$task"
assert_equal "and the next step" pre_task "$next"
[[ $new_token != "$token" ]] || fail "recover gave the dead holder's token again"
assert_exit 0 invoke recover --agent-id dev_001 --owner-pid $$ --json
assert_equal "asked again it says the same" pre_task "$(json "data['next']" <<<"$OUT")"
assert_exit 0 invoke unlock --agent-id dev_001
assert_equal "nothing is held any more" null "$(board_task "$id" locked_by)"

# By force, which is logged; and a board that nobody answers for.
sleep 600 &
owner=$!
TEST_PIDS+=("$owner")
hpm lock --agent-id dev_001 --task-id "$id" --owner-pid "$owner" >/dev/null
HEADLESS_PM_API_URL=http://127.0.0.1:9 assert_exit 69 invoke unlock --agent-id dev_001 --force
assert_exists "$(record dev_001)"
assert_exit 0 hpm unlock --agent-id dev_001 --force
assert_missing "$(record dev_001)"
