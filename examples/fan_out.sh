#!/usr/bin/env bash
# Agents side by side until the board offers nothing more: fan_out.sh dev_001 dev_002 dev_003
# Exit code 0: all that was offered is reported; 1: something ended otherwise, or stopped an agent.
set -u

if [ $# -eq 0 ]; then
    echo "which agents? $0 dev_001 dev_002" >&2
    exit 2
elif [ "$1" != --one ]; then
    printf '%s\n' "$@" | xargs -n 1 -P "$#" -- "$0" --one
    exit $(($? != 0))
fi

agent=$2 worst=0
while :; do
    hpm run --role "${ROLE:-backend_dev}" --agent-id "$agent" --single-task 2>&1 | sed -u "s/^/$agent  /"
    code=${PIPESTATUS[0]}
    case $code in
        0) ;;
        1) worst=1 ;;                          # parked or given back; its work is on its branch
        3) exit "$worst" ;;                    # nothing is offered any more
        69 | 75) sleep "${RETRY_PAUSE:-30}" ;; # no board, or the usage limit holds; a task begun is kept
        *) exit "$code" ;;
    esac
done
