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
assert_exit 0 invoke worktree.list
assert_contains "list shows it" feature/task-12 "$OUT"

# A clean one goes without a trace; its branch stays.
assert_exit 0 invoke worktree.remove --task-id 12
assert_equal "nothing had to be salvaged" "" "$OUT"
assert_missing "$place"
assert_exit 0 git rev-parse --verify -q feature/task-12
assert_exit 0 hpm worktree.remove --task-id 12

# What was left uncommitted becomes a ref, and comes back.
assert_exit 0 invoke worktree.add --task-id 12
printf 'half done\n' >"$place/notes.txt"
assert_exit 0 hpm worktree.remove --task-id 12
ref=$OUT
assert_equal "the salvage has the file" "half done" "$(git show "$ref:notes.txt")"
assert_exit 0 invoke worktree.restore --ref "$ref"
assert_equal "restored into a worktree" "half done" "$(cat "$OUT/notes.txt")"
restored=$OUT
assert_exit 0 invoke worktree.remove --path "$restored"
assert_equal "removing it again needs no second salvage" "$ref" "$OUT"
assert_exit 0 hpm worktree.restore --ref "$ref" --to .
assert_equal "restored into the checkout" "?? notes.txt" "$(git status --porcelain)"

# Salvage is deleted on command only.
assert_exit 0 hpm worktree.prune
assert_exit 0 invoke worktree.prune worktree.prune --salvage --older-than 0
assert_contains "without a terminal it only says what would go" "$ref" "$ERR"
assert_exit 0 git rev-parse --verify -q "$ref"
assert_exit 0 hpm worktree.prune --salvage --older-than 0 --yes
assert_exit 1 git rev-parse --verify -q "$ref"

# What cannot be kept safely stays, and the exit code says so.
assert_exit 0 hpm worktree.add --task-id 13
git init -q "$PWD/.worktrees/task-13/inner"
touch "$PWD/.worktrees/task-13/inner/file"
assert_exit 1 invoke worktree.remove --task-id 13 locks --json
assert_equal "and ends what was to be run after it" "" "$OUT"
assert_contains "the reason is told" "a repository of its own" "$ERR"
assert_exists "$PWD/.worktrees/task-13/inner/file"

assert_exit 2 invoke worktree.add --task-id 14 --branch ../x
assert_exit 2 hpm worktree.add --task-id nope
cd "$TEST_DIR"
assert_exit 78 hpm worktree.add --task-id 14

# The task's branch is worked on if it is free; the default branch, or one that is checked out, never is.
cd "$TEST_DIR/work/shop"
git branch fix/login
branch_of() { git -C "$(hpm worktree.add --task-id "$1" --branch "$2")" branch --show-current; }
assert_equal "a free branch is taken" fix/login "$(branch_of 21 fix/login)"
assert_equal "a taken one is not" feature/task-22 "$(branch_of 22 fix/login)"
assert_equal "seen from a worktree it is the same" "$PWD/.worktrees/task-22" \
    "$(cd .worktrees/task-21 && invoke worktree.add --task-id 22)"
assert_equal "the list as JSON" "[13, 21, 22]" \
    "$(hpm worktree.list --json | json "sorted(row['task_id'] for row in data['worktrees'])")"

# Committed work needs no salvage; a checkout with other changes takes none.
printf 'finished\n' >.worktrees/task-21/finished.txt
git -C .worktrees/task-21 add finished.txt
git -C .worktrees/task-21 commit -q -m 'Finish'
assert_equal "nothing to salvage" "" "$(invoke worktree.remove --task-id 21)"
assert_equal "its branch has it" finished "$(git show fix/login:finished.txt)"
printf 'half\n' >.worktrees/task-22/half.txt
ref=$(hpm worktree.remove --task-id 22)
printf 'mine\n' >mine.txt
assert_exit 73 invoke worktree.restore --ref "$ref" --to .
assert_missing half.txt

assert_exit 0 hpm worktree.remove --task-id 999
assert_contains "one that is gone is said to be" "nothing to remove" "$ERR"
assert_exit 2 hpm worktree.add
assert_exit 2 invoke worktree.remove
assert_exit 65 invoke worktree.add --task-id 16 --base nosuch
assert_exit 65 hpm worktree.restore --ref refs/hpm/salvage/nobody/1/nosuch
