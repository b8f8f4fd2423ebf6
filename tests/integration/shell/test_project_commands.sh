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
assert_exit 0 hpm init
assert_equal "init again writes nothing" "" "$OUT"

assert_exit 0 invoke locks locks --json
assert_equal "invoke runs both calls" '{"locks": []}' "$(tail -n 1 <<<"$OUT")"
assert_exit 0 invoke worktree.remove --help
assert_contains "help is printed and nothing removed" "usage: hpm worktree.remove" "$OUT"
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
assert_exit 78 hpm lock --agent-id dev_001 --task-id 1
assert_contains "a changed file is refused" "changed since it was trusted" "$ERR"
assert_exit 0 hpm trust --revoke
assert_equal "revoked settings do not count" "[]" "$(setting claude.allow)"
