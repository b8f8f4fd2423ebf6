#!/usr/bin/env bash
# The runner, written in shell from the same commands: recover, look, lock, run the agent, report, unlock.
# Exit codes it branches on: 0 done, 1 ended otherwise, 3 nothing to do, 75 held or limited: try later.
set -u

agent=${AGENT_ID:-dev_001}
role=${ROLE:-backend_dev}
level=${LEVEL:-principal}
single=${SINGLE_TASK:-}

hook() { hpm hooks.run --name "$1" --agent-id "$agent" >&2; }

# work TOKEN STEP: do every step of the locked task from STEP on; the exit code of its report.
work() {
    local token=$1 step=$2 code=0
    local held=(--agent-id "$agent" --token "$token")
    while [ -n "$step" ]; do
        case $step in
            pre_task) if hook pre_task; then step=worktree.add; else code=1 step=unlock; fi ;;
            worktree.add) if hpm worktree.add "${held[@]}" >&2; then step=claude.exec; else code=1 step=unlock; fi ;;
            claude.exec)
                hpm claude.exec "${held[@]}" >&2
                step=finish
                ;;
            finish)
                hpm finish "${held[@]}"
                code=$?
                case $code in
                    0 | 1) step=post_task ;;
                    75) # a limit, a crash, an outage: the task stays ours, its agent runs again
                        hpm pm.register --agent-id "$agent" --role "$role" --level "$level" >/dev/null
                        sleep "${RETRY_PAUSE:-10}"
                        step=claude.exec
                        ;;
                    *) return "$code" ;;
                esac
                ;;
            post_task)
                hook post_task
                step=worktree.remove
                ;;
            worktree.remove)
                hpm worktree.remove "${held[@]}" >&2
                step=unlock
                ;;
            unlock)
                hpm unlock "${held[@]}" >&2
                step=
                ;;
        esac
    done
    return "$code"
}

hpm pm.register --agent-id "$agent" --role "$role" --level "$level" >/dev/null || exit
while :; do
    if resumed=$(hpm recover --agent-id "$agent" --owner-pid $$); then
        read -r token _ step <<<"$resumed"
    else
        code=$?
        [ "$code" -eq 3 ] || exit "$code"
        step=pre_task
        token=$(hpm pm.next --role "$role" --level "$level" --json 2>/dev/null |
            hpm lock --agent-id "$agent" --owner-pid $$ --task - 2>/dev/null) || {
            [ -z "$single" ] || exit 3
            sleep "${TASK_PAUSE:-5}"
            continue
        }
    fi
    work "$token" "$step"
    code=$?
    [ -z "$single" ] || exit "$code"
    [ "$code" -le 1 ] || exit "$code"
done
