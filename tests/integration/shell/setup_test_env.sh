# shellcheck shell=bash
# Sourced first by every test script: an environment made from nothing inside one temporary directory.
# Nothing of the person's (HOME, keys, Claude login, git configuration, proxies) is seen, and the
# directory, with everything started from the script, is gone when it ends. KEEP_TEST_DIR=1 keeps the files.

set -euo pipefail

TEST_SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
PROJECT=$(cd "$TEST_SCRIPTS/../../.." && pwd -P)
TEST_BIN=${HPM_TEST_BIN:-$PROJECT/.venv/bin}

clear_environment() {
    local name
    while IFS= read -r name; do
        case $name in
            HPM_TEST_*) ;;
            HEADLESS_PM_* | API_KEY* | ANTHROPIC_* | CLAUDE* | GIT_* | INVOKE_* | HPM_* | XDG_* | PYTHON* | VIRTUAL_ENV | \
                [Hh][Tt][Tt][Pp]*_[Pp][Rr][Oo][Xx][Yy] | [Aa][Ll][Ll]_[Pp][Rr][Oo][Xx][Yy] | BASH_ENV | ENV)
                unset "$name"
                ;;
        esac
    done < <(compgen -e)
}

make_environment() {
    TEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/hpm-test.XXXXXX")
    chmod 700 "$TEST_DIR"
    mkdir -p "$TEST_DIR"/{home,tmp,work}
    export HOME=$TEST_DIR/home TMPDIR=$TEST_DIR/tmp
    export XDG_CONFIG_HOME=$HOME/.config XDG_CACHE_HOME=$HOME/.cache
    export XDG_DATA_HOME=$HOME/.local/share XDG_STATE_HOME=$HOME/.local/state
    export HEADLESS_PM_HOME=$HOME/.headless-pm CLAUDE_CONFIG_DIR=$HOME/.claude
    export PATH=$TEST_BIN:/usr/local/bin:/usr/bin:/bin
    export LC_ALL=C.UTF-8 TZ=UTC TERM=dumb
    export GIT_CONFIG_NOSYSTEM=1
    # Port 9 is closed: whatever tries to leave this machine fails at once.
    export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 all_proxy=http://127.0.0.1:9
    export HTTP_PROXY=$http_proxy HTTPS_PROXY=$https_proxy ALL_PROXY=$all_proxy
    export no_proxy=127.0.0.1,localhost,::1 NO_PROXY=127.0.0.1,localhost,::1
    export PROJECT TEST_DIR TEST_BIN
    cd "$TEST_DIR/work"
    # Invoke looks for a tasks.py in all directories above, so `invoke X` works in every repository that a test makes here.
    printf 'from hpm_tools.tasks import ns\n' >tasks.py
}

# Processes are ended by the ids noted when they were started, never by name.
TEST_PIDS=()

end_environment() {
    local code=$? pid
    trap - EXIT INT TERM HUP
    set +e
    for pid in "${TEST_PIDS[@]}"; do
        kill -TERM "$pid" 2>/dev/null
    done
    for pid in "${TEST_PIDS[@]}"; do
        wait "$pid" 2>/dev/null
    done
    cd /
    if [[ -n ${KEEP_TEST_DIR:-} ]]; then
        echo "kept: $TEST_DIR" >&2
    else
        chmod -R u+rwX "$TEST_DIR" 2>/dev/null
        rm -rf "$TEST_DIR"
    fi
    exit "$code"
}

clear_environment
make_environment
trap end_environment EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=tests/integration/shell/test_helpers.sh
source "$TEST_SCRIPTS/test_helpers.sh"
