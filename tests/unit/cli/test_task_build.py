"""Reference responses sampled from a language model, and the command that writes them into a task file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import duelbench  # noqa: F401 - registers the environments
from duelbench.cli import task as build
from duelbench.cli.task import TaskCommand, build_references, write_task
from duelbench.envs.text.tasks import load_task
from duelbench.policies.causal_lm import CausalLMPolicy


@pytest.fixture
def policy(llama: Path) -> CausalLMPolicy:
    return CausalLMPolicy(llama, max_new_tokens=6, features="none", dtype="float32")


PROMPTS = tuple(f"write a line about {word}" for word in ("the fox", "rain", "a sad old song in the rain", "me", "it"))


def test_references_come_as_often_as_the_model_says(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "ROWS_AT_ONCE", 1600)  # two batches, in the order of length
    policy, n = CausalLMPolicy(llama, max_new_tokens=1, features="none", dtype="float32"), 600
    texts, log_probs = build_references(PROMPTS, policy, n)
    tops = set()
    for i, prompt in enumerate(PROMPTS):
        alone = policy.sample({"prompt": (prompt,)}, n, np.random.default_rng(0), reference=True)
        top = float(alone.reference_log_probs.max())  # of the likeliest token after this prompt
        p, drawn = np.exp(top), np.isclose(log_probs[i], top, atol=1e-4)
        assert abs(drawn.mean() - p) < 4 * np.sqrt(p * (1 - p) / n)
        assert set(texts[i, drawn]) == set(alone.actions[0, np.isclose(alone.reference_log_probs[0], top, atol=1e-4)])
        tops.add(round(top, 3))
    assert len(tops) == len(PROMPTS)  # so that a mixed-up prompt would show


def test_references_follow_from_the_seed_and_are_counted(
    policy: CausalLMPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROWS_AT_ONCE", 8)
    told: list[int] = []
    texts, log_probs = build_references(PROMPTS, policy, 3, seed=1, tell=told.append)
    assert texts.shape == log_probs.shape == (5, 3) and told == [9, 15]
    assert (build_references(PROMPTS, policy, 3, seed=1)[0] == texts).all()
    assert not (build_references(PROMPTS, policy, 3, seed=2)[0] == texts).all()
    with pytest.raises(ValueError, match="references must be at least 1, got 0"):
        build_references(PROMPTS, policy, 0)


def command(tmp_path: Path, llama: Path, **changes: Any) -> TaskCommand:
    source = tmp_path / "table.jsonl"
    source.write_text("".join(json.dumps({"question": prompt}) + "\n" for prompt in PROMPTS))
    given = {
        "source": str(source),
        "prompt_column": "question",
        "out": tmp_path / "made.npz",
        "model": str(llama),
        "references": 3,
        "heldout": 2,
        "max_new_tokens": 6,
        "dtype": "float32",
    }
    return TaskCommand(**{**given, **changes})


def test_a_made_task_can_be_played_on(tmp_path: Path, llama: Path) -> None:
    assert write_task(command(tmp_path, llama), "duelbench task …") == 0
    name = str(tmp_path / "made.npz")
    task = load_task(name)
    assert (task.n_duel, len(task.heldout_ids), task.references.shape) == (3, 2, (5, 3))
    assert task.card["model"] == str(llama) and task.card["command"] == "duelbench task …"
    assert (task.card["temperature"], task.card["seed"], task.card["references"]) == (1.0, 0, 3)
    assert task.lm_log_probs is not None and task.lm_log_probs.shape == (5, 3)
    env = gym.make("LLMDuel-v0", task=name, oracle="reader-easy", horizon=4)
    env.reset(seed=0)
    assert env.step(("a fox", "rain fell"))[1] in (0.0, 1.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.npz", "table.jsonl"]  # nothing half done


def test_another_models_references_take_the_place_of_stored_ones(tmp_path: Path, llama: Path) -> None:
    options = {"source": "short-writing", "prompt_column": "prompt", "limit": 3, "heldout": 2}
    write_task(command(tmp_path, llama, **options), "")
    made, before = load_task(str(tmp_path / "made.npz")), load_task("short-writing")
    assert made.prompts == before.prompts[:3] + before.prompts[before.n_duel :][:2]
    assert made.references.shape == (5, 3) and made.features == {} and not made.utilities
    assert made.card["prompts_from"]["model"] == "tiny"


def test_an_interrupted_command_goes_on_to_the_same_file(
    tmp_path: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROWS_AT_ONCE", 6)  # three batches
    write_task(command(tmp_path, llama), "")
    whole = load_task(str(tmp_path / "made.npz"))
    sample, calls = CausalLMPolicy.sample, [0]

    def stops(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return sample(*args, **kwargs)

    again = command(tmp_path, llama, out=tmp_path / "again.npz")
    monkeypatch.setattr(CausalLMPolicy, "sample", stops)
    with pytest.raises(KeyboardInterrupt):
        write_task(again, "")
    (partial,) = tmp_path.glob(".again-*.partial.jsonl")
    with partial.open("a") as file:
        file.write('{"batch": 2, "texts": [["torn')  # as a kill leaves it
    write_task(again, "")
    assert calls[0] == 4  # two batches were kept, the third was drawn
    assert (load_task(str(tmp_path / "again.npz")).references == whole.references).all()
    assert np.array_equal(load_task(str(tmp_path / "again.npz")).lm_log_probs, whole.lm_log_probs)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("*.partial.jsonl"))


def test_a_task_file_ends_in_npz(tmp_path: Path, llama: Path) -> None:
    with pytest.raises(ValueError, match=r"a task file ends in \.npz"):
        write_task(command(tmp_path, llama, out=tmp_path / "made.json"), "")
