"""What role files say of the board is left out, and nothing else, whatever the text looks like."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.executor.role_filter import filter_role
from hpm_tools.executor.roles import BUILT_IN
from hpm_tools.names import ROLES

SAMPLE = Path(__file__).parent.parent / "data" / "roles" / "backend_dev.md"


class TestFilterOnAnUpstreamStyleFile:
    def test_nothing_about_the_board_remains(self) -> None:
        text = filter_role(SAMPLE.read_text(encoding="utf-8")).text
        for word in (
            *(
                "headless_pm",
                "pickup",
                ".env",
                "tasks next",
                "tasks lock",
                "dev_done",
                "under_work",
                "qa_done",
            ),
            *("shared_instructions", "query for any", "loop pattern", "IMMEDIATELY", "end your session"),
        ):
            assert word not in text, word

    def test_everything_else_remains_as_it_was_written(self) -> None:
        text = filter_role(SAMPLE.read_text(encoding="utf-8")).text
        for line in (
            "# Backend Developer (Python Client)",
            "## Role\nYou are a senior backend developer responsible for:\n- The invoice service",
            "- RabbitMQ consumers that poll nothing themselves\n",
            "- Rotating the customers' API keys (see docs/keys.md)\n",
            "- **Domain**: src/domain/ - business rules, no I/O\n\nKey documents:\n- docs/ARCHITECTURE.md - system design\n",
            "Never switch git branch! Never stash! Commit only your own code! -- Remember other agents use this same",
            "1. For new features: write tests FIRST\n3. Execute the whole test suite with `make test`\n",
            "## Skill Focus by Level\n- **junior**: CRUD operations, simple APIs, bug fixes\n",
        ):
            assert line in text, line

    def test_what_was_left_out_is_reported(self) -> None:
        left_out = filter_role(SAMPLE.read_text(encoding="utf-8")).left_out
        assert {
            "Learn the Headless PM System",
            "YOUR API KEY",
            "Task Workflow",
            "Continuous Operation (CRITICAL)",
        } < set(left_out)
        assert len(left_out) == 8

    def test_filtering_twice_changes_nothing(self) -> None:
        once = filter_role(SAMPLE.read_text(encoding="utf-8"))
        assert filter_role(once.text) == type(once)(once.text, ())


@pytest.mark.parametrize("role", ROLES)
def test_the_built_in_roles_survive_their_own_filter(role: str) -> None:
    text = (BUILT_IN / f"{role}.md").read_text(encoding="utf-8")
    assert filter_role(text).text == text
    assert filter_role(text).left_out == ()


DROPPED_SECTIONS = [
    "## Task Workflow",
    "##\tTASK WORKFLOW ##",
    "   ### 4. **Task** _Workflow_ (CRITICAL)",
    "Task Workflow\n=============",
    "Task workflow\n---",
    "<h2 class='x'>Task Workflow</h2>",
    "## 🔄 Continuous Operation",
    "## Continuous Work Loop (CRITICAL)",
    "## Monitoring & Continuous Operation",
    "## API-Key",
    "## Your API key",
    "## Polling",
    "## How to Register (Example)",
    "### Register yourself (CRITICAL)",
    "## Registration",
    "## Agent registration",
    "## Using the Headless PM client",
    "## The PM client",
    "## Getting tasks",
    "## NEVER STOP",
    "## Status Progression",
    "## Heartbeats",
    "**Task Workflow**",
    "__Continuous operation__:",
    "## Task\u00a0Work\u200bflow",
]


@pytest.mark.parametrize("heading", DROPPED_SECTIONS)
def test_a_section_about_the_board_goes_with_all_below_it(heading: str) -> None:
    text = f"# Role\n\n{heading}\n\nfirst line\n- item\n\n###### deeper\n\nlast line\n\n# Style\n\nkept\n"
    if heading.startswith(("**", "__")):
        text = text.replace("###### deeper\n\n", "")
    result = filter_role(text)
    assert result.text == "# Role\n\n# Style\n\nkept\n"
    assert len(result.left_out) == 1


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "## Authentication",
            "## Continuous integration",
            "## User registration page",
            "## Event registration",
        ),
        *("## Testing Workflow", "## Git workflow", "## Task", "## Keyboard shortcuts", "## Queue consumers"),
        *("## Status page", "## Python client library", "## Skill levels"),
    ],
)
def test_other_sections_stay(heading: str) -> None:
    text = f"# Role\n\n{heading}\n\nWrite tests.\n"
    assert filter_role(text).text == text


class TestNesting:
    def test_a_sibling_ends_the_dropped_section(self) -> None:
        assert filter_role("## Task workflow\nx\n## Style\nkept\n").text == "## Style\nkept\n"

    def test_a_higher_heading_ends_it_too(self) -> None:
        assert filter_role("### Task workflow\nx\n# Style\nkept\n").text == "# Style\nkept\n"

    def test_a_nested_section_goes_alone(self) -> None:
        text = "## Style\nkept\n### Task workflow\nx\n#### detail\ny\n### Tests\nkept too\n"
        assert filter_role(text).text == "## Style\nkept\n### Tests\nkept too\n"

    def test_a_document_title_that_matches_does_not_take_the_document_with_it(self) -> None:
        text = "# Headless PM client: backend developer\n\nWrite code.\n\n## Style\n\nkept\n"
        assert filter_role(text).text == text

    def test_a_lone_heading_goes_with_its_text(self) -> None:
        assert filter_role("# Continuous operation\n\nround and round\n").text.strip() == ""

    def test_headings_inside_code_are_no_headings(self) -> None:
        text = "## Task workflow\n```\n# Style\n## Tests\n```\nstill dropped\n\n## Style\nkept\n"
        assert filter_role(text).text == "## Style\nkept\n"

    @pytest.mark.parametrize("fence", ["~~~", "````", "  ```", "\t```"])
    def test_fences_of_every_kind(self, fence: str) -> None:
        text = f"## Style\n{fence}sh\n# Task workflow\nmake test\n{fence}\nkept\n"
        assert filter_role(text).text == text

    def test_a_fence_that_never_closes_hides_no_heading(self) -> None:
        result = filter_role("# Role\n\n```\n\n## Task workflow\n\nround and round\n\n## Style\n\nkept\n")
        assert "round and round" not in result.text
        assert "kept" in result.text

    def test_a_longer_fence_contains_a_shorter_one(self) -> None:
        text = "## Style\n````\n```\n# Polling\n```\n````\nkept\n"
        assert filter_role(text).text == text


BOARD_SENTENCES = [
    "Run `python headless_pm/headless_pm_client.py --help` first.",
    "If you get blocked, pickup another task and return to the blocked one later.",
    "If you don't have available tasks, check for development tasks that require principal level expertise.",
    "Poll for changes regularly (every 10-30 seconds) during active work",
    "Always poll the board for new tasks",
    "Long polling the PM API is fine.",
    "IMMEDIATELY get the **next**\ntask after completing one",
    "Never end your session.",
    "Do not ever stop working",
    "Never go idle",
    "This will wait up to 3 minutes for new tasks",
    "Ask the board for another minor task",
    "Never leave your session",
    "Don\u2019t stop running",
    "curl http://localhost:6969/api/v1/tasks/next",
    "Register yourself based on your agent role",
    "Register with the board first.",
    "Use the X-API-Key header.",
    "The API key is in `.env`.",
    "Lock the task before starting",
    "Update task statuses as you progress",
    "Set the task's status when you are done.",
    "Status automatically unlocks task when moving from `under_work`",
    "Move it to `qa_done` afterwards.",
    "Check for mentions and respond immediately",
    "Simply request the next task again to continue monitoring",
    "Always transition directly from one task to the next without gaps",
    "Send heartbeats every 30 seconds",
    "you should reject it and query for any junior level tasks!",
]


@pytest.mark.parametrize("sentence", BOARD_SENTENCES)
@pytest.mark.parametrize("shape", ["{}", "- {}", "  3. {}", "> {}", "* [ ] {}", "| {} | x |"])
def test_a_loose_sentence_about_the_board_goes(sentence: str, shape: str) -> None:
    line = shape.format(sentence.replace("\n", " ") if "|" in shape else sentence)
    result = filter_role(f"## Style\n\nBe exact.\n\n{line}\n\n- kept\n")
    assert result.text == "## Style\n\nBe exact.\n\n- kept\n"
    assert len(result.left_out) == 1


@pytest.mark.parametrize(
    "sentence",
    [
        "The worker polls RabbitMQ every second.",
        "Use exponential backoff instead of busy polling in the crawler.",
        "Celery tasks live in src/tasks.py; keep each task small.",
        "Users register with their mail address.",
        "Document the API and its keys in docs/api.md.",
        "Never commit secrets or .env files.",
        "Never stop a migration half-way.",
        "Check the status code of every response.",
        "Update the documentation when behaviour changes.",
        "Run `make test` before you commit.",
        "Return the next page's cursor.",
        "Take care that new Celery tasks are idempotent.",
        "Get the next page of tasks from the cursor.",
        "Do not leave a development server running.",
        "A task is finished when its tests pass.",
        "Lock the row before you change the balance.",
        "Locking: see docs/locks.md.",
    ],
)
def test_sentences_about_the_product_stay(sentence: str) -> None:
    text = f"## Style\n\n{sentence}\n\n- {sentence}\n"
    assert filter_role(text).text == text
    assert filter_role(text).left_out == ()


class TestLooseText:
    def test_only_the_sentence_goes_not_its_paragraph(self) -> None:
        text = "Write tests first. Then poll the board for\nnew tasks! Keep functions small.\n"
        assert filter_role(text).text == "Write tests first. Keep functions small.\n"

    def test_a_list_item_keeps_its_bullet(self) -> None:
        text = "- Lock the task before starting. Work test-first.\n- kept\n"
        assert filter_role(text).text == "- Work test-first.\n- kept\n"

    def test_a_code_block_goes_as_a_whole(self) -> None:
        text = (
            "Build:\n\n```bash\nmake\n./headless_pm/headless_pm_client.py tasks next --role qa\n```\n\nkept\n"
        )
        result = filter_role(text)
        assert result.text == "Build:\n\nkept\n"
        assert result.left_out == ("./headless_pm/headless_pm_client.py tasks next --role qa",)

    def test_a_command_over_two_lines_goes_with_both(self) -> None:
        text = "kept\n\n    python headless_pm_client.py \\\n      tasks next --role qa\n\nkept too\n"
        assert filter_role(text).text == "kept\n\nkept too\n"

    def test_hidden_characters_hide_nothing(self) -> None:
        text = "kept\n\n\x1b[1mPo\u200bll the bo\u202eard for tasks\x1b[0m\n"
        assert filter_role(text).text == "kept\n"

    def test_windows_line_ends_and_a_byte_order_mark(self) -> None:
        assert filter_role("\ufeff## Task workflow\r\nx\r\n## Style\r\nkept\r\n").text == "## Style\nkept\n"


PRODUCT_BLOCKS = [
    "Write tests first.",
    "- kept item",
    "```sh\nmake test\n```",
    "## Style",
    "> Quoted advice.",
    "| a | b |",
]
BOARD_BLOCKS = [
    "Poll the board for tasks.",
    "- Lock the task before starting",
    "```\nheadless_pm_client.py\n```",
]
BOARD_SECTIONS = [
    "## Task workflow\n\n- step one",
    "## Polling\n\n### Deeper\n\ntext",
    "## API key\n\n```\n## Style\n```",
]


@given(
    st.lists(
        st.sampled_from([(block, True) for block in PRODUCT_BLOCKS])
        | st.sampled_from([(block, False) for block in BOARD_BLOCKS])
        | st.sampled_from([(f"{block}\n\n## Style", False) for block in BOARD_SECTIONS]),
        max_size=12,
    )
)
def test_in_any_mixture_the_board_goes_and_the_rest_stays(blocks: list[tuple[str, bool]]) -> None:
    result = filter_role("# Title\n\n" + "\n\n".join(block for block, _ in blocks) + "\n")
    wanted = [
        "# Title",
        *(block if keep else "## Style" for block, keep in blocks if keep or "## Style" in block[-8:]),
    ]
    assert result.text == "\n\n".join(wanted) + "\n"
    assert bool(result.left_out) == any(not keep for _, keep in blocks)


@given(st.text(max_size=400))
def test_any_text_is_filtered_without_an_error(text: str) -> None:
    once = filter_role(text)
    assert filter_role(once.text).text.strip() == once.text.strip() or once.left_out


@pytest.mark.parametrize(
    "hostile",
    [
        *(
            "api key " * 15_000,
            "poll " * 25_000,
            "get " * 30_000,
            "_" * 120_000,
            "get" + " \t" * 60_000,
            "# " * 60_000,
        ),
        *(
            "#" + " " * 120_000 + "x",
            "~~~x\n" * 25_000,
            "```\n~~~ y\n" * 12_000,
            "> " * 60_000,
            "- " * 60_000,
        ),
        *(
            "<h1>" * 30_000,
            "**a" * 40_000,
            ". \n" * 40_000,
            "never stop " * 11_000,
            ".env " * 25_000,
            "." * 120_000,
        ),
        *(
            "a\n" * 60_000,
            "\n" * 120_000,
            "* x\n" * 30_000,
            "| x\n" * 30_000,
            "\\\n" * 60_000,
            ".\"')*" * 24_000,
        ),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_text_takes_linear_time(hostile: str) -> None:
    started = time.process_time()
    filter_role(hostile)
    assert time.process_time() - started < 10
