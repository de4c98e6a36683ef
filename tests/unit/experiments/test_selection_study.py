"""The study of experiments/selection_rules: what is run, what data are worth, and that what is told follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duelbench.agents.alignment.base import LearningAgent
from duelbench.agents.alignment.table import RULES_AS_AGENTS
from duelbench.experiments.records import Records, add_records, recorded
from duelbench.experiments.selection_rules import analysis, calibration, data, sweep
from duelbench.records.record import Run
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.policy_loop import run

POOL, NEURAL = "LLMDuelPool-v0", "NeuralDuel-v0"


def test_every_rule_is_compared_at_one_budget_a_place() -> None:
    specs = sweep.part_specs("rules", tuple(sweep.PLACES), 2)
    assert len(specs) == len({spec.run_id for spec in specs}) == 2 * len(sweep.PLACES) * (len(RULES_AS_AGENTS) - 1)
    assert {spec.agent for spec in specs} == RULES_AS_AGENTS.keys() - {"ee4llm"}
    for place in sweep.PLACES.values():
        assert {spec.labels for spec in specs if spec.env == place.env} == {place.labels}
    prompts = sweep.part_specs("prompts", ("pool",), 1)
    assert len(prompts) == len(sweep.PROMPTS) and sweep.part_specs("prompts", ("neural",), 1) == []
    shared = {spec.run_id for spec in specs} & {spec.run_id for spec in prompts}
    assert len(shared) == 1, "BAI-TS on all prompts is played once for both"


def small(env: str, env_kwargs: dict[str, Any], labels: int = 160) -> RunSpec:
    return RunSpec(
        env,
        "online",
        3,
        labels,
        batch=16,
        judging=Judging(every=labels),
        env_kwargs=env_kwargs,
        policy={"hidden": 8},
        learner={"learning_rate": 3e-3},
    )


@pytest.mark.parametrize("env", [POOL, NEURAL])
def test_what_was_collected_is_what_the_agent_learned_from(
    env: str, task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kwargs = {"task": task_file, "oracle": f"{oracles}:Worth"} if env == POOL else {"heldout": 4}
    learned: list[tuple[Any, Any]] = []
    update = LearningAgent.update

    def listen(self: Any, observation: Any, pair: Any, feedback: Any) -> Any:
        told = np.isin(feedback, (0.0, 1.0)) & ~pair.identical
        learned.append(pair.rows(told).ranked(feedback[told] == 1.0))
        return update(self, observation, pair, feedback)

    monkeypatch.setattr(LearningAgent, "update", listen)
    spec = small(env, kwargs)
    folder = run(spec, tmp_path)
    chosen, rejected = data.collected(spec, folder, assemble(spec))
    assert 50 < len(chosen) <= 160  # ties teach nothing, and identical pairs are never asked
    assert np.array_equal(chosen, np.concatenate([side[0].features for side in learned]))
    assert np.array_equal(rejected, np.concatenate([side[1].features for side in learned]))


def test_held_out_duels_have_the_true_chances(task_file: str, oracles: str) -> None:
    parts = assemble(small(POOL, {"task": task_file, "oracle": f"{oracles}:Worth"}))
    held_out = data.held_out_duels(parts, 0)
    worth = np.array([1.5, -1.0, 0.5, 0.0, 0.0])
    gap = (held_out.first.astype(float) - held_out.second) @ worth
    np.testing.assert_allclose(held_out.chance, 1 / (1 + np.exp(-gap)), atol=0.03)  # stored coarsely
    task = parts.env.unwrapped.problem.task
    duels = {row.tobytes() for row in task.features["lm"][: task.n_duel].reshape(-1, 5)}
    assert not any(row.tobytes() in duels for row in held_out.first)


def test_good_data_make_a_good_reward_model(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = small(POOL, {"task": task_file, "oracle": f"{oracles}:Worth"}, labels=320)
    scores = data.data_scores(spec, run(spec, tmp_path))
    assert scores["linear_accuracy"] > 0.85 and scores["rm_accuracy"] > 0.8
    assert scores["linear_log_loss"] < np.log(2) and scores.keys() <= set(analysis.METRICS)


def test_log_loss_is_least_for_the_truth() -> None:
    true = np.array([0.2, 0.9, 1.0])
    exact = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1)) / 3
    assert data.log_loss(true, true) == pytest.approx(exact, abs=1e-6)
    assert data.log_loss(np.array([0.3, 0.8, 1.0]), true) > exact


def test_a_posterior_that_knows_is_calibrated_and_one_that_boasts_is_not() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(size=3000)
    width = rng.uniform(0.01, 0.05, size=3000)
    knows = calibration.judged(np.stack([0.98 * chance, 1.02 * chance]), chance + 1e-9 * width)
    assert knows["calibration_error"] == pytest.approx(0.0, abs=1e-8) and knows["covered"] == 1.0
    assert knows["rms_error"] == pytest.approx(0.0, abs=1e-8) and knows["accuracy"] > 0.99
    sure = (chance > 0.5) * 0.98 + 0.01
    boasts = calibration.judged(np.stack([sure - 0.01 * width, sure + 0.01 * width]), chance)
    assert boasts["accuracy"] == 1.0 and boasts["calibration_error"] > 0.2 and boasts["covered"] < 0.1
    centre = chance + width * rng.standard_normal(3000)
    honest = calibration.judged(np.stack([centre - width, centre + width]), chance)
    assert honest["covered"] == pytest.approx(0.954, abs=0.02)
    assert honest["spread"] == pytest.approx(honest["rms_error"], rel=0.05) and honest["spread_tells_error"] > 0.2


def test_reliability_counts_every_duel_once() -> None:
    said = np.array([[0.0, 0.04, 0.55, 1.0, 0.999]])
    rows = calibration.reliability(said, np.array([0.1, 0.3, 0.5, 1.0, 0.8]))
    assert rows == [(pytest.approx(0.02), pytest.approx(0.2), 2), (0.55, 0.5, 1), (pytest.approx(0.9995), 0.9, 2)]


def test_results_of_a_made_up_study_name_who_is_separated(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    runs = []
    for rule, gain in (("random_pair", 0.0), ("drts", 0.1)):
        for seed in range(4):
            spec = sweep.specs_of("rules", ("neural", rule))(seed)
            last = {
                "labels": 512.0,
                "offline_win_rate": 0.6 + gain + 0.01 * seed + 0.001 * gain * seed,
                "rm_accuracy": 0.7,
            }
            timing = [{"labels": 512.0, "wall_seconds": 1.0, "generated_tokens": 0.0}]
            runs.append(Run(spec.run_id, {"seed": seed}, [last], timing, [], True, {"spec": spec.to_json()}, None))
    add_records(path, runs, analysis.METRICS)
    assert len(recorded(path)) == 8
    text = analysis.results(Records.read(path), {})
    assert "**+0.100" in text and "pool: not run yet" in text and "0 to 4 seeds (incomplete)" in text
