"""What is wrong with a task is said before the first label, with the row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from duelbench.envs.text.tasks import Task, load_task, task_names
from duelbench.errors import UsageError
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.configuration.checks import check_task
from duelbench.runs.policy_loop import run
from duelbench.study.sweep import Sweep

GOOD = [f"Write about {thing}." for thing in ("a fox", "rain", "a lamp", "the sea", "bread", "a bridge")]


def task(folder: Path, prompts: list[str], heldout: tuple[str, ...] = ("Write about snow.",)) -> str:
    rows = [(prompt, "train") for prompt in prompts] + [(prompt, "heldout") for prompt in heldout]
    lines = [json.dumps({"prompt": p, "references": ["One.", "Two."], "split": split}) for p, split in rows]
    (folder / "task.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / "task.jsonl")


def spec_of(where: str, **policy: object) -> RunSpec:
    return RunSpec("LLMDuel-v0", "online", 0, 256, env_kwargs={"task": where}, policy={"model": "mini"} | policy)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (
            [*GOOD, "a long road " * 200],
            r"prompt 7, 'a long road.* tokens, which with max_new_tokens=32 exceed the 128",
        ),
        ([*GOOD, "half \ud83d of a smile"], r"7: expected .* in Unicode text"),
        ([*GOOD, "Write about snow."], r"8: the prompt .Write about snow.. is that of .*:7 too"),
    ],
)
def test_a_prompt_that_some_round_would_stumble_over_costs_no_label(
    prompts: list[str], message: str, tmp_path: Path
) -> None:
    spec = spec_of(task(tmp_path, prompts))
    with pytest.raises(ValueError, match=message):
        run(spec, tmp_path / "out")
    assert not list((tmp_path / "out").glob("runs/*/journal.sqlite"))


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (("one", "half \ud83d of a smile", "two"), r"row 2: .*lone surrogate"),
        (("one", "two", "one"), r"held-out prompt of row 3, 'one', is the duel prompt of row 1"),
    ],
)
def test_a_task_that_was_made_in_python_is_checked_too(prompts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_task(Task("mine", prompts, 2, np.array([["a", "b"]] * 3, dtype=object)))


def test_an_empty_prompt_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prompt 7 is '', which renders to no token"):
        assemble(spec_of(task(tmp_path, [*GOOD, ""]), prompt_template="{prompt}"))


def test_a_good_task_passes(tmp_path: Path) -> None:
    assemble(spec_of(task(tmp_path, GOOD))).env.close()


@pytest.mark.parametrize("name", task_names())
def test_packaged_tasks_pass(name: str) -> None:
    check_task(load_task(name))


def test_without_held_out_prompts_it_says_how_to_keep_some(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no held-out prompts.*heldout"):
        assemble(spec_of(task(tmp_path, GOOD, heldout=())))


@pytest.mark.parametrize(
    ("judging", "said"),
    [
        ({"oracle": "reader"}, "--judge-oracle would do nothing: rucb plays arms on MatrixDuel-v0"),
        ({"second": "reader-rare", "prompts": 4}, "--judge-second and --judge-prompts would do nothing"),
        ({"references": 2}, "--judge-references would do nothing"),
    ],
)
def test_nobody_is_asked_to_judge_arms(judging: dict[str, object], said: str) -> None:
    sweep = Sweep(title="arms", envs=["MatrixDuel-v0"], agents=["rucb"], seeds=2, labels=100, judging=judging)
    with pytest.raises(UsageError, match=said):
        sweep.specs()
    (played,) = Sweep(
        title="arms", envs=["MatrixDuel-v0"], agents=["rucb"], seeds=2, labels=100, judging={"every": 50}
    ).specs()
    assert played.lockstep == 2
