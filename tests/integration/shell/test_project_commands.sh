#!/usr/bin/env bash
# init and trust: the commands as tasks of somebody's own repository, and what that repository may configure.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"

new_repository shop
mkdir shop/src
cd shop/src

assert_exit 0 hpm init
assert_equal "init prints what it wrote" "$TEST_DIR/work/shop/tasks.py
$TEST_DIR/work/shop/invoke.yaml" "$OUT"
assert_equal "git does not see the new files" "" "$(git status --porcelain)"
assert_exit 0 invoke init
assert_equal "init again writes nothing" "" "$OUT"

assert_exit 0 invoke locks locks --json
assert_equal "invoke runs both calls" '{"locks": []}' "$(tail -n 1 <<<"$OUT")"
assert_exit 0 invoke worktree.remove --help
assert_contains "help is printed and nothing removed" "[--core-opts] worktree.remove" "$OUT"
assert_exit 2 invoke lock
assert_exit 1 invoke no-such-task

# An untrusted repository may say who works, not what they may do.
printf '  role: qa\n  claude: {allow: ["Bash(make:*)"]}\n' >>../invoke.yaml
setting() {
    hpm health --json 2>/dev/null | json "data['config']['$1']['value']"
}
assert_equal "role counts by itself" qa "$(setting role)"
assert_equal "permissions do not" "[]" "$(setting claude.allow)"
assert_exit 0 hpm trust
assert_contains "trust shows what is approved" "Bash(make:*)" "$ERR"
assert_equal "after trust they do" '["Bash(make:*)"]' "$(setting claude.allow)"
printf '    # changed\n' >>../invoke.yaml
assert_exit 78 invoke lock --agent-id dev_001 --task-id 1
assert_contains "a changed file is refused" "changed since it was trusted" "$ERR"
assert_exit 0 invoke trust --revoke
assert_equal "revoked settings do not count" "[]" "$(setting claude.allow)"

# A repository of one's own files is never written over.
new_repository "$TEST_DIR/work/own"
cd "$TEST_DIR/work/own"
printf 'ns = None\n' >tasks.py
assert_exit 73 hpm init
assert_contains "init says what to add" "from hpm_tools.tasks import run, lock" "$ERR"
assert_equal "and changes nothing" "ns = None" "$(<tasks.py)"
rm tasks.py

# health: what is missing, and how to mend it.
export HEADLESS_PM_CLAUDE_PATH=$TEST_DIR/nowhere
HEADLESS_PM_API_URL=http://127.0.0.1:9 assert_exit 1 invoke health
assert_contains "a dead board is told" "FAIL  board" "$OUT"
assert_contains "a missing CLI too" "FAIL  claude" "$OUT"
assert_contains "and what mends it" "HEADLESS_PM_CLAUDE_PATH" "$OUT"
unset HEADLESS_PM_CLAUDE_PATH
start_board
use_bundled_claude
assert_exit 0 hpm health --json
assert_equal "a fit machine" true "$(json "data['healthy']" <<<"$OUT")"
assert_equal "the key is not shown" "***" "$(json "data['config']['api_key']['value']" <<<"$OUT")"

# demo: the main job, on a throwaway repository.
assert_exit 0 hpm demo --json
assert_equal "the demo's tasks" "qa_done dev_done dev_done" "$(json "' '.join(task['status'] for task in data['tasks'])" <<<"$OUT")"
assert_equal "it leaves nothing behind" "" "$(ls -A "$TMPDIR")"
