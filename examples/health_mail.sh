#!/bin/sh
# A mail when this machine cannot work, for cron; with ALWAYS=yes every night.
#
#     30 6 * * * MAIL_TO=ops@example.com $HOME/hpm-tools/examples/health_mail.sh
#
# MAILER gets the whole message on its standard input: sendmail -t, msmtp -t, or a program of yours.
set -u

hpm_tools=$(dirname "$(dirname "$(readlink -f "$0")")")
PATH=$hpm_tools/.venv/bin:$HOME/.local/bin:/usr/local/bin:/usr/sbin:$PATH
cd /

health=$(hpm health --repo "${REPO:-$HOME/agents/project}" 2>&1)
code=$?
[ "$code" -ne 0 ] || [ "${ALWAYS:-}" = yes ] || exit 0
if [ "$code" -eq 0 ]; then state=healthy; else state='needs a hand'; fi

# shellcheck disable=SC2086  # a program and its options
${MAILER:-sendmail -t} <<EOF
To: ${MAIL_TO:?whom to tell: MAIL_TO=you@example.com}
Subject: hpm-tools on $(uname -n) $state
Content-Type: text/plain; charset=utf-8

$health

$(hpm locks 2>&1)

The last 24 hours:
$(hpm metrics --since 24h 2>&1)
EOF
