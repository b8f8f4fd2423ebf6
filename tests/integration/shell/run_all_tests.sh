#!/usr/bin/env bash
# Runs every test_*.sh beside it, three at a time, each in an environment of its own, and counts.
#   run_all_tests.sh [NAME...]    only the named ones, e.g. test_single_task
# A script passes with 0, is skipped with 77, and has failed with anything else.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly HERE
readonly GOAL=60
# Each wait inside a script has a limit; this one ends what hangs beside them. Load is no reason to come to it.
readonly LAST_RESORT=3600
readonly SKIPPED=77

# Called by xargs for one script.
if [[ ${1:-} == --one ]]; then
    name=$(basename "$2" .sh)
    start=$SECONDS
    code=0
    limit=()
    # macOS has no timeout; there a script that hangs is ended by hand.
    if command -v timeout >/dev/null; then
        limit=(timeout --kill-after=20 "$LAST_RESORT")
    fi
    ${limit[@]+"${limit[@]}"} bash "$2" >"$3/$name.log" 2>&1 </dev/null || code=$?
    echo "$code $((SECONDS - start))" >"$3/$name.result"
    case $code in
        0) echo "passed   $name ($((SECONDS - start)) s)" ;;
        "$SKIPPED") echo "skipped  $name: $(grep -m 1 '^SKIPPED: ' "$3/$name.log" || true)" ;;
        *)
            echo "FAILED   $name (exit code $code, $((SECONDS - start)) s)"
            sed 's/^/    /' "$3/$name.log"
            ;;
    esac
    exit 0
fi

# The slowest first, or the last of them would run alone for long.
scripts=()
for script in "$HERE"/test_{single_task,task_recovery,dev_to_qa_flow}.sh "$HERE"/test_*.sh; do
    name=$(basename "$script" .sh)
    [[ $name != test_helpers && " ${scripts[*]-} " != *" $script "* ]] || continue
    if [[ $# -eq 0 || " $* " == *" $name "* ]]; then
        scripts+=("$script")
    fi
done
if [[ ${#scripts[@]} -eq 0 ]]; then
    echo "no test script matches: $*" >&2
    exit 2
fi

results=$(mktemp -d "${TMPDIR:-/tmp}/hpm-shell-tests.XXXXXX")
trap 'rm -rf "$results"' EXIT
begin=$SECONDS
printf '%s\0' "${scripts[@]}" |
    xargs -0 -P "${HPM_TEST_JOBS:-3}" -I '{}' bash "${BASH_SOURCE[0]}" --one '{}' "$results"
seconds=$((SECONDS - begin))

passed=0 failed=0 skipped=0
for script in "${scripts[@]}"; do
    code=1
    read -r code _ <"$results/$(basename "$script" .sh).result" || true
    case $code in
        0) passed=$((passed + 1)) ;;
        "$SKIPPED") skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) ;;
    esac
done

echo "the shell tests took $seconds s (goal: $GOAL s)"
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
