#!/usr/bin/env bash
# worktree.*: a task's place is made, found again and removed, and what was left in it comes back.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"

new_repository shop
cd shop
assert_exit 0 hpm init
place=$PWD/.worktrees/task-12

assert_exit 0 hpm worktree.add --task-id 12 --branch main
assert_equal "add prints the path" "$place" "$OUT"
assert_equal "on a branch of its own" feature/task-12 "$(git -C "$place" branch --show-current)"
assert_equal "git status stays clean" "" "$(git status --porcelain)"
assert_exit 0 invoke worktree.add --task-id 12
assert_equal "invoke finds the same" "$place" "$OUT"
assert_exit 0 hpm worktree.list
assert_contains "list shows it" feature/task-12 "$OUT"

# A clean one goes without a trace; its branch stays.
assert_exit 0 hpm worktree.remove --task-id 12
assert_equal "nothing had to be salvaged" "" "$OUT"
assert_missing "$place"
assert_exit 0 git rev-parse --verify -q feature/task-12
assert_exit 0 hpm worktree.remove --task-id 12

# What was left uncommitted becomes a ref, and comes back.
assert_exit 0 hpm worktree.add --task-id 12
printf 'half done\n' >"$place/notes.txt"
assert_exit 0 hpm worktree.remove --task-id 12
ref=$OUT
assert_equal "the salvage has the file" "half done" "$(git show "$ref:notes.txt")"
assert_exit 0 hpm worktree.restore --ref "$ref"
assert_equal "restored into a worktree" "half done" "$(cat "$OUT/notes.txt")"
restored=$OUT
assert_exit 0 hpm worktree.remove --path "$restored"
assert_equal "removing it again needs no second salvage" "$ref" "$OUT"
assert_exit 0 hpm worktree.restore --ref "$ref" --to .
assert_equal "restored into the checkout" "?? notes.txt" "$(git status --porcelain)"

# Salvage is deleted on command only.
assert_exit 0 hpm worktree.prune
assert_exit 0 hpm worktree.prune --salvage --older-than 0
assert_contains "without a terminal it only says what would go" "$ref" "$ERR"
assert_exit 0 git rev-parse --verify -q "$ref"
assert_exit 0 hpm worktree.prune --salvage --older-than 0 --yes
assert_exit 1 git rev-parse --verify -q "$ref"

# What cannot be kept safely stays, and the exit code says so.
assert_exit 0 hpm worktree.add --task-id 13
git init -q "$PWD/.worktrees/task-13/inner"
touch "$PWD/.worktrees/task-13/inner/file"
assert_exit 1 hpm worktree.remove --task-id 13
assert_contains "the reason is told" "a repository of its own" "$ERR"
assert_exists "$PWD/.worktrees/task-13/inner/file"

assert_exit 2 hpm worktree.add --task-id 14 --branch ../x
assert_exit 2 hpm worktree.add --task-id nope
cd "$TEST_DIR"
assert_exit 78 hpm worktree.add --task-id 14
