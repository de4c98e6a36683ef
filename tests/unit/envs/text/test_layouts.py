"""Preference sets in the layouts that TRL documents load as tasks, and what was duelled on them exports back."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from duelbench.conversation import as_prompt, transcript, turns
from duelbench.envs.text.tasks import Task, load_task
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.exports.preferences import collect, write
from duelbench.runs.policy_loop import run

Rows = list[dict[str, Any]]
SYSTEM = {"role": "system", "content": "Answer in one word."}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


SKY = user("What color is the sky?")
BLUE, GREEN = assistant("It is blue."), assistant("It is green.")
EARLIER = [user("Hello"), assistant("Hi!"), SKY]
BARE = {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}
LAYOUTS: dict[str, tuple[dict[str, Any], list[dict[str, str]], list[str]]] = {
    # name: a row, the messages of its prompt, its responses
    "explicit": (BARE, [user("The sky is")], [" blue.", " green."]),
    "implicit": (
        {"chosen": "The sky is blue.", "rejected": "The sky is green."},
        [user("The sky is")],
        [" blue.", " green."],
    ),
    "implicit, within a word": (
        {"chosen": "The sky is blue.", "rejected": "The sky is black."},
        [user("The sky is")],
        [" blue.", " black."],
    ),
    "implicit, after a mark": (
        {"chosen": "Answer:yes", "rejected": "Answer:no"},
        [user("Answer:")],
        ["yes", "no"],
    ),
    "implicit dialogue in one text": (
        {
            side: f"\n\nHuman: Hello\n\nAssistant: Hi!\n\nHuman: {SKY['content']}\n\nAssistant: {said['content']}"
            for side, said in (("chosen", BLUE), ("rejected", GREEN))
        },
        EARLIER,
        ["It is blue.", "It is green."],
    ),
    "explicit conversation": (
        {"prompt": [SKY], "chosen": [BLUE], "rejected": [GREEN]},
        [SKY],
        ["It is blue.", "It is green."],
    ),
    "implicit conversation": (
        {"chosen": [SKY, BLUE], "rejected": [SKY, GREEN]},
        [SKY],
        ["It is blue.", "It is green."],
    ),
    "system turn": (
        {"prompt": [SYSTEM, SKY], "chosen": [BLUE], "rejected": [GREEN]},
        [SYSTEM, SKY],
        ["It is blue.", "It is green."],
    ),
    "implicit with system turn": (
        {"chosen": [SYSTEM, SKY, BLUE], "rejected": [SYSTEM, SKY, GREEN]},
        [SYSTEM, SKY],
        ["It is blue.", "It is green."],
    ),
    "text beside whole conversations": (
        {"prompt": SKY["content"], "chosen": [SKY, BLUE], "rejected": [SKY, GREEN]},
        [SKY],
        ["It is blue.", "It is green."],
    ),
    "text beside conversations with a system turn": (
        {"prompt": SKY["content"], "chosen": [SYSTEM, SKY, BLUE], "rejected": [SYSTEM, SKY, GREEN]},
        [SYSTEM, SKY],
        ["It is blue.", "It is green."],
    ),
    "first request beside whole conversations": (
        {"prompt": "Hello", "chosen": [*EARLIER, BLUE], "rejected": [*EARLIER, GREEN]},
        EARLIER,
        ["It is blue.", "It is green."],
    ),
    "several turns": (
        {"prompt": EARLIER, "chosen": [BLUE], "rejected": [GREEN]},
        EARLIER,
        ["It is blue.", "It is green."],
    ),
    "a conversation as text of a cell": (
        {"prompt": json.dumps([SYSTEM, SKY]), "chosen": "It is blue.", "rejected": "It is green."},
        [SYSTEM, SKY],
        ["It is blue.", "It is green."],
    ),
    "turns in parts": (
        {
            "prompt": [user([{"type": "text", "text": "The sky"}, {"type": "text", "text": " is"}])],
            "chosen": " blue.",
            "rejected": " green.",
        },  # type: ignore[arg-type]
        [user("The sky is")],
        [" blue.", " green."],
    ),
}


def stored(tmp_path: Path, rows: Rows, kind: str = "jsonl") -> str:
    path = tmp_path / f"preferences.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_documented_layout_loads(layout: str, kind: str, tmp_path: Path) -> None:
    row, messages, responses = LAYOUTS[layout]
    task = load_task(stored(tmp_path, [row | {"score": 1.0}], kind), {"heldout": 0})
    assert [turns(prompt) for prompt in task.prompts] == [messages]
    assert task.references.tolist() == [responses]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"chosen": "Blue.", "rejected": "Green."}, "have no common beginning"),
        ({"chosen": "The sky is", "rejected": "The sky is blue"}, "no common beginning that leaves a response to each"),
        ({"chosen": [SKY, BLUE], "rejected": [user("Why?"), GREEN]}, "with other contents"),
        ({"chosen": [SKY], "rejected": [SKY, GREEN]}, "column 'chosen': .*ends with the assistant's turn, got user's"),
        ({"chosen": [BLUE], "rejected": [GREEN]}, "up to the assistant's last turn"),
        ({"prompt": [SKY], "chosen": [user("Why?"), BLUE], "rejected": [user("Why?"), GREEN]}, "the same conversation"),
        ({"prompt": [SKY], "chosen": [SKY, BLUE], "rejected": [GREEN]}, "the same conversation"),
        ({"prompt": [SKY], "chosen": [BLUE, user("So?"), BLUE], "rejected": [GREEN, user("So?"), BLUE]}, "differ"),
        ({"prompt": [SKY, BLUE], "chosen": [BLUE], "rejected": [GREEN]}, "ends with the user's turn"),
        ({"prompt": [SKY], "chosen": [{**BLUE, "tool_calls": [{"name": "f"}]}], "rejected": [GREEN]}, "calls tools"),
        ({"prompt": "x", "chosen": None, "rejected": "y"}, "column 'chosen': expected text or a conversation"),
        ({"prompt": [], "chosen": "a", "rejected": "y"}, "column 'prompt': expected text or a conversation"),
    ],
)
def test_what_is_no_preference_is_refused_with_its_line(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"preferences\.jsonl:2.*{said}"):
        load_task(stored(tmp_path, [good(row), row]))


def good(row: dict[str, Any]) -> dict[str, Any]:
    """A row that can be read and has the same columns."""
    explicit = {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}
    return explicit if "prompt" in row else LAYOUTS["implicit"][0]


def test_turns_and_prompts_are_each_others_inverse() -> None:
    for messages in ([SKY], [SYSTEM, SKY], EARLIER, [user('[{"role": "user", "content": "x"}]')], [user("[1, 2]")]):
        assert turns(as_prompt(messages)) == messages
    for text in ("", "[", "[]", "[1]", '[{"role": "nobody", "content": "x"}]', "Write: [a]"):
        assert turns(text) == [user(text)] and transcript(text) == text


def test_a_conversation_reaches_the_model_by_its_chat_template(llama: Path) -> None:
    policy = CausalLMPolicy(llama, dtype="float32", max_new_tokens=4)
    prompts = [as_prompt([SYSTEM, SKY]), "What color is the sky?"]
    tokens = policy.sample({"prompt": prompts}, 1, np.random.default_rng(0)).context
    template = AutoTokenizer.from_pretrained(llama).apply_chat_template
    for row, messages in enumerate(([SYSTEM, SKY], [SKY])):
        size = tokens["prompt_lengths"][row]
        expected = template(messages, tokenize=True, add_generation_prompt=True, return_dict=False)
        assert tokens["prompt_tokens"][row, :size].tolist() == expected


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "is a conversation, which takes a model with a chat template"),
        ("{{ raise_exception('System role not supported') }}", "refuses .*: System role not supported"),
    ],
)
def test_a_model_that_takes_no_conversation_says_so_before_the_first_label(
    template: str | None, said: str, llama: Path, tmp_path: Path
) -> None:
    shutil.copytree(llama, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(llama)
    (tmp_path / "model" / "chat_template.jinja").unlink(missing_ok=True)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path / "model")
    policy = CausalLMPolicy(tmp_path / "model", dtype="float32", max_new_tokens=4)
    with pytest.raises(ValueError, match=said):
        policy.check_prompts([as_prompt([SYSTEM, SKY])])


def answering(tmp_path: Path) -> str:
    """An oracle that knows the better response."""
    (tmp_path / "knows.py").write_text("def knows(prompt, response):\n    return 50.0 * ('blue' in response)\n")
    return f"{tmp_path / 'knows.py'}:knows"


@pytest.mark.parametrize(
    "layout", ["explicit conversation", "system turn", "implicit with system turn", "several turns"]
)
def test_duels_on_a_preference_set_export_as_its_rows(layout: str, tmp_path: Path) -> None:
    """Table → task → pool → journal → export → table: the pairs come back, and load as the same task."""
    _, messages, _ = LAYOUTS[layout]
    rows = [
        {
            "prompt": [*messages[:-1], user(f"{messages[-1]['content']} {i}")],
            "chosen": [assistant(f"It is blue {i}.")],
            "rejected": [assistant(f"It is green {i}.")],
        }
        for i in range(12)
    ]
    read = load_task(stored(tmp_path, rows, "parquet"), {"heldout": 4})
    features = np.random.default_rng(0).standard_normal((12, 2, 3)).astype(np.float32)
    dataclasses.replace(read, features={"mine": features}).save(tmp_path / "pool.npz")
    kwargs = {"task": str(tmp_path / "pool.npz"), "oracle": answering(tmp_path)}
    spec = RunSpec("LLMDuelPool-v0", "uniform", 0, 64, batch=16, judging=Judging(every=64), env_kwargs=kwargs)
    run(spec, tmp_path / "out")
    found = collect(tmp_path / "out", load_runs(tmp_path / "out"))
    exported = {json.dumps({name: row[name] for name in ("prompt", "chosen", "rejected")}) for row in found.rows}
    duelled = {prompt for prompt in read.prompts[: read.n_duel]}
    assert exported == {json.dumps(row) for row in rows if as_prompt(row["prompt"]) in duelled}
    again = load_task(str(write(found, tmp_path / "export")), {"heldout": 0})
    assert pairs(again) == {prompt: pair for prompt, pair in pairs(read).items() if prompt in duelled}
    if len(messages) > 1:
        with pytest.raises(ValueError, match=r"is a conversation, .*leave out --plain"):
            collect(tmp_path / "out", load_runs(tmp_path / "out"), plain=True)


def pairs(task: Task) -> dict[str, list[str]]:
    return dict(zip(task.prompts, task.references.tolist(), strict=True))
