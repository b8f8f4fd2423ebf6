#!/usr/bin/env bash
# hooks.list and hooks.run: the shipped hooks and the operator's own, in any language.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"

assert_equal "three hooks are shipped" "health_check post_task pre_task" \
    "$(hpm hooks.list --json | json "' '.join(sorted(hook['name'] for hook in data['hooks']))")"

mkdir -m 755 hooks
cat >hooks/pre_task.sh <<'SH'
echo "shell got $(cat)"
SH
cat >hooks/post_task.py <<'PY'
import json, sys
data = json.load(sys.stdin)
print("python got task", data["task_id"])
sys.exit(0 if data["task_id"] == 12 else 4)
PY
cat >hooks/any <<'SH'
#!/bin/sh
echo "any program"
echo "a word of warning" >&2
SH
printf 'sleep 600\n' >hooks/slow.sh
chmod 755 hooks/*
own=(--hooks-dir "$PWD/hooks")

assert_contains "one's own come first" "$PWD/hooks/pre_task.sh" "$(invoke hooks.list "${own[@]}")"
assert_exit 0 invoke hooks.run --name pre_task "${own[@]}" --data '{"task_id": 12}'
assert_contains "a shell hook gets the data" '"task_id": 12' "$OUT"
assert_exit 0 invoke hooks.run --name post_task "${own[@]}" --data - <<<'{"task_id": 12}'
assert_equal "a Python hook gets them from standard input" "python got task 12" "$OUT"
assert_exit 1 invoke hooks.run --name post_task "${own[@]}" --data '{"task_id": 13}'
assert_contains "a hook's no says its code" "exit code 4" "$ERR"
assert_exit 0 hpm hooks.run --name any "${own[@]}"
assert_equal "any program will do" "any program" "$OUT"
assert_contains "its messages are no output" "a word of warning" "$ERR"
assert_exit 1 hpm hooks.run --name post_task "${own[@]}" --json --data '{"task_id": 13}'
assert_equal "as JSON" "[false, 4]" "$(json "[data['ok'], data['returncode']]" <<<"$OUT")"

HEADLESS_PM_HOOK_TIMEOUT=0.5 assert_exit 124 invoke hooks.run --name slow "${own[@]}"
assert_exit 65 hpm hooks.run --name nosuch "${own[@]}"
assert_exit 65 invoke hooks.run --name any "${own[@]}" hooks.run --name nosuch "${own[@]}" hooks.run --name any "${own[@]}"
assert_equal "what comes after a failed one is not run" "any program" "$OUT"
assert_exit 65 invoke hooks.run --name any "${own[@]}" --data 'no JSON'
assert_exit 2 hpm hooks.run --name ../any "${own[@]}"
assert_exit 2 hpm hooks.run
chmod 777 hooks/any
assert_exit 78 hpm hooks.run --name any "${own[@]}"
assert_contains "an unsafe hook says what mends it" "chmod" "$ERR"
assert_exit 78 invoke hooks.list --hooks-dir "$PWD/nowhere"

# A loop around it keeps its input.
heard=$(printf '%s\n' 12 13 14 | while read -r id; do
    hpm hooks.run --name pre_task "${own[@]}" --data "{\"task_id\": $id}" >/dev/null
    echo "$id"
done)
assert_equal "a loop keeps its input" "12 13 14" "${heard//$'\n'/ }"

# With an agent, the data are those of its task.
hpm lock --agent-id dev_001 --task '{"id": 12, "title": "A \u001b[31mtitle"}' --local >/dev/null
new_repository repo
cd repo
assert_exit 0 hpm hooks.run --name post_task "${own[@]}" --agent-id dev_001
assert_equal "the agent's task is the data" "python got task 12" "$OUT"
assert_exit 3 invoke hooks.run --name post_task "${own[@]}" --agent-id dev_002
