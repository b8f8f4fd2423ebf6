#!/usr/bin/env bash
# Agents side by side until the board offers nothing more. Without arguments those that `hpm sessions` lists; otherwise
# those that are named, all of one role: ROLE=qa fan_out.sh qa_001 qa_002
# Exit code 0: all that was offered is reported; 1: something ended otherwise, or stopped an agent; 3: none is declared.
set -u

if [ "${1-}" != --one ]; then
    if [ $# -gt 0 ]; then
        by=--agent-id agents=$(printf '%s\n' "$@")
    else
        by=--session declared=$(hpm sessions --json) || exit
        agents=$(python3 -c 'import json, sys
for session in json.load(sys.stdin)["sessions"]: print(session["agent_id"])' <<<"$declared") || exit
    fi
    xargs -n 1 -P 0 -- "$0" --one "$by" <<<"$agents"
    exit $(($? != 0))
fi

by=$2 agent=$3 worst=0
if [ "$by" = --session ]; then who=(--session "$agent"); else who=(--role "${ROLE:-backend_dev}" --agent-id "$agent"); fi
while :; do
    hpm run "${who[@]}" --single-task 2>&1 | sed -u "s/^/$agent  /"
    code=${PIPESTATUS[0]}
    case $code in
        0) ;;
        1) worst=1 ;;                          # parked or given back; its work is on its branch
        3) exit "$worst" ;;                    # nothing is offered any more
        69 | 75) sleep "${RETRY_PAUSE:-30}" ;; # no board, or the usage limit holds; a task begun is kept
        *) exit "$code" ;;
    esac
done
