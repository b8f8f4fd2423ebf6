#!/bin/sh
# One task, for cron: silent unless a person should look, since cron mails whatever a job prints.
#
#     */10 * * * * $HOME/hpm-tools/examples/cron_one_task.sh
#
# REPO, ROLE and AGENT_ID are below or in the environment; the board's address and key are in
# ~/.headless-pm/config.yaml.
set -u

hpm_tools=$(dirname "$(dirname "$(readlink -f "$0")")")
PATH=$hpm_tools/.venv/bin:$HOME/.local/bin:/usr/local/bin:$PATH
cd / # a runner started outside the repository does not execute what agents wrote into it

told=$(hpm run --repo "${REPO:-$HOME/agents/project}" --role "${ROLE:-backend_dev}" \
    --agent-id "${AGENT_ID:-dev_001}" --single-task 2>&1)
code=$?
case $code in
    0 | 3 | 75) exit 0 ;; # reported; nothing to do; at work already, or a usage limit or a pause holds
esac
printf '%s\n' "$told"
exit "$code"
