"""Calibration of a posterior: synthetic predictors whose faults are known, and what a run records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import expit, logit

from duelbench.duels.preference import Feedback
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.statistics.reliability import (
    BINS,
    Predictions,
    rank_correlation,
    read_predictions,
    reliability,
    scores,
    uncertainty,
)
from duelbench.runs.policy_game import game
from duelbench.runs.policy_loop import run
from duelbench.types import Verdict


def calibrated(rng: np.random.Generator, n: int) -> Predictions:
    """Truths scattered around the prediction, right on average: p ~ Beta(κ q, κ (1 − q)), wider where unsure."""
    q, kappa = rng.uniform(0.02, 0.98, n), rng.uniform(2, 50, n)
    return Predictions(q, np.sqrt(q * (1 - q) / (kappa + 1)), rng.beta(kappa * q, kappa * (1 - q)))


def overconfident(rng: np.random.Generator, n: int) -> Predictions:
    """Three times too sure, and no idea of where it errs."""
    p = rng.uniform(0.02, 0.98, n)
    return Predictions(expit(3 * logit(p)), rng.uniform(0.0, 0.2, n), p)


def test_a_calibrated_predictor_has_hardly_any_calibration_error() -> None:
    found = scores(calibrated(np.random.default_rng(0), 100_000))
    assert found["calibration_error"] < 0.005
    assert found["rank_correlation"] > 0.4
    assert found["brier_floor"] < found["brier"]
    assert found["log_loss_floor"] < found["log_loss"] < np.log(2)
    assert 0.93 < found["coverage"] < 0.98  # two standard deviations of a beta distribution


def test_an_overconfident_predictor_is_found_out() -> None:
    predictions = overconfident(np.random.default_rng(1), 100_000)
    found = scores(predictions)
    # q is on the far side of p everywhere, so the bins' gaps are the mean of |q − p|: nothing cancels
    assert found["calibration_error"] == pytest.approx(predictions.error.mean(), abs=0.01)
    assert found["calibration_error"] > 0.12 and abs(found["rank_correlation"]) < 0.02
    assert found["accuracy"] == 1.0  # a monotone distortion names the same winners
    assert found["brier"] > found["brier_floor"] + 0.02


def test_the_scores_are_their_definitions() -> None:
    q, p = np.array([0.0, 0.25, 0.5, 1.0]), np.array([0.2, 0.75, 0.5, 0.9])
    found = scores(Predictions(q, np.array([0.1, 0.4, 0.0, 0.2]), p))
    assert found["calibration_error"] == pytest.approx((0.2 + 0.5 + 0.0 + 0.1) / 4)
    assert found["accuracy"] == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    rng = np.random.default_rng(2)
    answers = rng.random((200_000, 4)) < p
    assert found["brier"] == pytest.approx(((answers - q) ** 2).mean(), abs=2e-3)
    assert scores(Predictions(q, np.array([0.05, 0.4, 0.0, 0.2]), p))["coverage"] == pytest.approx(3 / 4)
    told = np.clip(q, 1e-6, 1 - 1e-6)
    assert found["log_loss"] == pytest.approx(-np.where(answers, np.log(told), np.log(1 - told)).mean(), abs=2e-2)
    assert found["log_loss_floor"] == pytest.approx(scipy_stats.bernoulli(p).entropy().mean())
    assert found["rank_correlation"] == pytest.approx(scipy_stats.spearmanr([0.1, 0.4, 0.0, 0.2], np.abs(p - q))[0])


def test_rank_correlation_is_spearmans_with_ties() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        x, y = rng.integers(5, size=30), rng.integers(5, size=30)
        assert rank_correlation(x, y) == pytest.approx(scipy_stats.spearmanr(x, y)[0])
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def test_a_reliability_diagram_lies_on_the_diagonal_or_beside_it() -> None:
    rng = np.random.default_rng(4)
    good = reliability([calibrated(rng, 400) for _ in range(30)])
    assert good.count.sum() == 12_000 and len(good.x) == BINS
    assert (np.abs(good.x - good.y) < 0.03).all()
    assert ((good.low <= good.y) & (good.y <= good.high)).all()
    assert ((good.low <= good.x) & (good.x <= good.high)).sum() >= BINS - 2  # 95 % each
    bad = reliability([overconfident(rng, 400) for _ in range(30)])
    assert (bad.y[0] > bad.x[0] + 0.05) and (bad.y[-1] < bad.x[-1] - 0.05)
    assert bad.x[-1] > bad.high[-1]


def test_whole_runs_are_the_units_of_an_interval() -> None:
    """Every run is one prediction repeated: its duels say no more than one duel would."""
    rng = np.random.default_rng(5)
    runs = [Predictions(np.full(500, 0.55), np.full(500, 0.1), np.full(500, p)) for p in rng.uniform(0.2, 0.9, 8)]
    found = reliability(runs)
    truths = [float(r.truth[0]) for r in runs]
    half = scipy_stats.t.ppf(0.975, 7) * scipy_stats.sem(truths)
    assert found.high[5] - found.low[5] == pytest.approx(2 * half)
    assert found.count.tolist() == [0, 0, 0, 0, 0, 4000, 0, 0, 0, 0] and np.isnan(found.y[0])
    assert np.isnan(reliability(runs[:4]).low).all()


def test_doubt_placed_well_rises_with_the_error() -> None:
    rng = np.random.default_rng(6)
    good = uncertainty([calibrated(rng, 2000) for _ in range(6)])
    assert (np.diff(good.y[:-1]) > -0.02).all() and good.y[-1] > 3 * good.y[0]
    assert good.count.min() > 1000
    constant = uncertainty([Predictions(np.array([0.5]), np.array([0.0]), np.array([0.5]))])
    assert constant.count.sum() == 1


@pytest.mark.parametrize("feedback", [Feedback(), Feedback(flip=0.2), Feedback("deterministic", 0.1)])
def test_first_wins_is_how_often_the_first_is_named(feedback: Feedback) -> None:
    p, rng = np.array([0.1, 0.5, 0.8, 1.0]), np.random.default_rng(7)
    verdicts = np.stack([feedback.verdicts(p, rng.random((4, 2))) for _ in range(20_000)])
    named = np.where(verdicts == Verdict.TIE, 0.5, verdicts)
    np.testing.assert_allclose(feedback.first_wins(p), named.mean(0), atol=0.012)


# What a run records


def spec_of(agent: str, task_file: str, oracle: str, seed: int = 0) -> RunSpec:
    options = {"candidates": 6, "posterior.samples": 3}
    return RunSpec(
        "LLMDuelPool-v0",
        agent,
        seed,
        64,
        batch=8,
        judging=Judging(every=32, repeats=1),
        env_kwargs={"task": task_file, "oracle": oracle},
        agent_options=options if agent == "sea" else {},
    )


def test_a_run_of_an_agent_with_a_posterior_records_what_it_predicts(
    task_file: str, oracles: str, tmp_path: Path
) -> None:
    folder = run(spec_of("sea", task_file, f"{oracles}:Worth"), tmp_path)
    (record,) = load_runs(tmp_path)
    found = read_predictions(record)
    assert found is not None and 100 < len(found.truth) <= 256
    for values in (found.probability, found.truth):
        assert ((values > 0) & (values < 1)).all() and values.std() > 0.01
    assert (found.spread > 0).all() and (found.spread < 0.5).all()
    again = run(spec_of("sea", task_file, f"{oracles}:Worth"), tmp_path / "again")
    assert (again / "calibration.json").read_bytes() == (folder / "calibration.json").read_bytes()


def test_a_trained_posterior_predicts_the_winner(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = replace(spec_of("sea", task_file, f"{oracles}:Worth"), labels=400, judging=Judging(every=400))
    run(spec, tmp_path)
    (record,) = load_runs(tmp_path)
    found = read_predictions(record)
    assert found is not None and np.corrcoef(found.probability, found.truth)[0, 1] > 0.5
    assert scores(found)["accuracy"] > 0.65


def test_predicting_leaves_the_run_as_it_was(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of("sea", task_file, f"{oracles}:Worth")
    with_it = run(spec, tmp_path / "with")
    monkeypatch.setattr(game, "calibration", lambda *parts: None)
    without = run(spec, tmp_path / "without")
    assert not (without / "calibration.json").exists()
    for name in ("metrics.jsonl", "samples.json"):
        assert (with_it / name).read_bytes() == (without / name).read_bytes()
    assert read_predictions(load_runs(tmp_path / "without")[0]) is None


def test_all_agents_of_a_seed_predict_the_same_duels(task_file: str, oracles: str, tmp_path: Path) -> None:
    for seed in (0, 1):
        run(spec_of("sea", task_file, f"{oracles}:Worth", seed), tmp_path)
    run(replace(spec_of("sea", task_file, f"{oracles}:Worth"), labels=48), tmp_path)
    truths = {(r.spec["seed"], r.spec["labels"]): read_predictions(r) for r in load_runs(tmp_path)}
    one, other, shorter = (truths[key] for key in ((0, 64), (1, 64), (0, 48)))
    assert one is not None and other is not None and shorter is not None
    assert one.truth.tolist() == shorter.truth.tolist() != other.truth.tolist()
    assert one.probability.tolist() != shorter.probability.tolist()


@pytest.mark.parametrize(("agent", "oracle"), [("online", "Worth"), ("sea", "Judge")])
def test_no_posterior_or_no_known_truth_means_no_predictions(
    agent: str, oracle: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    folder = run(spec_of(agent, task_file, f"{oracles}:{oracle}"), tmp_path)
    assert (folder / "DONE").exists() and not (folder / "calibration.json").exists()
