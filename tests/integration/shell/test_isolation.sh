#!/usr/bin/env bash
# A person's board, home and Claude stand around a test: none of them may be touched by it.
# shellcheck source=tests/integration/shell/setup_test_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_test_env.sh"

canary=$TEST_DIR/canary
mkdir -p "$canary"/{home/.headless-pm,bin}

# The "production" board writes down every connection.
python3 - "$canary/requests" >"$canary/url" 2>"$canary/url.err" <<'PYTHON' &
import http.server, sys
class Recorder(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(sys.argv[1], "a") as file:
            file.write(self.requestline + "\n")
        self.send_error(500)
    do_POST = do_PUT = do_DELETE = do_GET
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Recorder)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
PYTHON
TEST_PIDS+=("$!")
production=$(first_line "$canary/url" "$!")

printf 'api_url: %s\napi_key: the-real-key\n' "$production" >"$canary/home/.headless-pm/config.yaml"
printf '[user]\n  name = Real Person\n' >"$canary/home/.gitconfig"
printf '#!/bin/sh\necho "$@" >>%q\n' "$canary/claude-calls" >"$canary/bin/claude"
chmod +x "$canary/bin/claude"
before=$(cd "$canary/home" && find . -print | sort)

# What a test does, started from the person's environment.
cat >"$TEST_DIR/inner.sh" <<INNER
source "$TEST_SCRIPTS/setup_test_env.sh"
start_board
id=\$(add_task 'A task' backend_dev junior minor)
hpm pm.register --agent-id dev_001 --role backend_dev --level senior
hpm lock --agent-id dev_001 --task-id "\$id"
invoke unlock --agent-id dev_001
new_repository repo
git -C repo log -1 --format='author %an'
invoke claude.check || true
echo "home \$HOME"
INNER
HOME=$canary/home HEADLESS_PM_HOME=$canary/home/.headless-pm HEADLESS_PM_API_URL=$production \
    HEADLESS_PM_API_KEY=the-real-key API_KEY=the-real-key ANTHROPIC_API_KEY=real ANTHROPIC_BASE_URL=$production \
    CLAUDE_CONFIG_DIR=$canary/home/.claude GIT_AUTHOR_NAME='Real Person' XDG_CONFIG_HOME=$canary/home/.config \
    HPM_RUN_ID=real PATH=$canary/bin:$PATH \
    assert_exit 0 bash "$TEST_DIR/inner.sh"

assert_contains "the test works under its own author" "author Test" "$OUT"
assert_missing "$canary/requests"
assert_missing "$canary/claude-calls"
assert_equal "nothing is added to the person's home" "$before" "$(cd "$canary/home" && find . -print | sort)"
inner_home=$(sed -n 's/^home //p' <<<"$OUT")
assert_missing "$inner_home"
