#!/usr/bin/env bash
# The runner, written in shell from the same commands: recover, look, lock, run the agent, report, unlock.
# Exit codes it branches on: 0 done, 1 ended otherwise, 3 nothing to do, 69 no board, 75 held or limited: try later.
set -u

agent=${AGENT_ID:-@agent@}
role=${ROLE:-@role@}
level=${LEVEL:-@level@}
single=${SINGLE_TASK:-@single@}
retry=${RETRY_PAUSE:-10}
checked=0 failures=0

hook() { hpm hooks.run --name "$1" --agent-id "$agent" >&2; }
register() { hpm pm.register --agent-id "$agent" --role "$role" ${level:+--level "$level"} >/dev/null; }

# wait_held SECONDS: the board forgets the locks of an agent that is silent for 30 minutes.
wait_held() {
    local left=$1
    while register; [ "$left" -gt 60 ]; do
        sleep 60
        left=$((left - 60))
    done
    sleep "$left"
}

# back_off: a pause that doubles with every failure in a row, up to 5 minutes.
back_off() {
    local seconds=$((${TASK_PAUSE:-5} << (failures < 6 ? failures : 6)))
    failures=$((failures + 1))
    sleep "$((seconds < 300 ? seconds : 300))"
}

# healthy: nothing is taken while health_check fails; it is asked every 5 minutes and after every failure.
healthy() {
    [ "$failures" -gt 0 ] || [ "$SECONDS" -ge "$checked" ] || return 0
    hpm hooks.run --name health_check --data "{\"agent_id\": \"$agent\", \"role\": \"$role\"}" >&2 || return
    checked=$((SECONDS + 300))
}

# resume: go on with what this script, or one that was killed, left; sets token and step.
resume() {
    local resumed
    hpm locks | grep -q "^$agent " || return 3
    resumed=$(hpm recover --agent-id "$agent" --owner-pid $$) || return
    read -r token _ step <<<"$resumed"
}

# take: the token of the task that the board offers next.
take() {
    local task
    task=$(hpm pm.next --role "$role" ${level:+--level "$level"} --json) || return
    hpm lock --agent-id "$agent" --owner-pid $$ --task - <<<"$task"
}

begin() {
    healthy || return 1
    step=pre_task
    token=$(take)
}

# work: do every step of the locked task from $step on; the exit code of its report.
work() {
    local code=0 said seconds
    while [ -n "$step" ]; do
        local held=(--agent-id "$agent" --token "$token")
        case $step in
            pre_task) if hook pre_task; then step=worktree.add; else code=1 step=unlock; fi ;;
            worktree.add)
                if hpm worktree.add "${held[@]}" >&2; then step=claude.exec; else code=1 step=unlock; fi
                ;;
            claude.exec)
                said=$(hpm claude.exec "${held[@]}")
                code=$?
                printf '%s\n' "$said" >&2
                step=finish
                if [ -z "$said" ]; then # no verdict: somebody is in the way, or the board is away
                    [ "$code" -eq 75 ] || [ "$code" -eq 69 ] || return "$code"
                    sleep "$retry"
                    resume || return
                fi
                ;;
            finish)
                { said=$(hpm finish "${held[@]}" --json 2>&1 >&3); } 3>&1
                code=$?
                printf '%s\n' "$said" >&2
                seconds=$(sed -n 's/.*"wait_seconds": \([0-9]*\).*/\1/p' <<<"$said")
                case $code in
                    0 | 1) step=post_task ;;
                    75) # a limit, a crash, an outage: the task stays ours, its agent runs again
                        if [ -n "$seconds" ]; then
                            wait_held "$seconds"
                            step=claude.exec
                        else
                            sleep "$retry"
                        fi
                        ;;
                    69) sleep "$retry" ;;
                    *) # a setting or a login is wrong: the task was given back, or is still to be reported
                        seconds=$code
                        resume || return
                        [ "$step" = post_task ] || return "$seconds"
                        code=$seconds
                        ;;
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

# turn: one task, or what is left of one; 3 if there is none.
turn() {
    resume
    local code=$?
    case $code in
        0) ;;
        3) begin || return ;;
        69) return 69 ;;
        *) exit "$code" ;;
    esac
    work
}

register || exit
while :; do
    turn
    code=$?
    [ -z "$single" ] || exit "$code"
    case $code in
        3 | 75) sleep "${TASK_PAUSE:-5}" ;;
        0) failures=0 ;;
        1 | 69) back_off ;; # whatever ended so, the next task may fare no better
        *) exit "$code" ;;
    esac
done
