"""Which features a pool shows: warm, cold, privileged, or a clear word that there are none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from duelbench.envs.text.llm_duel import LLMDuel
from duelbench.envs.text.pool_duel import LLMDuelPool
from duelbench.envs.text.tasks import load_task
from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.taste import FEATURES, SCALES, TASTES
from duelbench.posteriors.encoders.registry import make_encoder

TASK = load_task("short-writing", {"limit": 4, "heldout": 3})


def shown(**options: object) -> np.ndarray:
    pool = LLMDuelPool(task=TASK, **options)
    features: np.ndarray = pool.observe(np.arange(2))["features"]
    assert pool.observation_space["features"].contains(features[0])
    return features


def test_the_default_is_warm_and_cold_can_be_asked_for() -> None:
    assert np.array_equal(shown(), TASK.features["preference"][:2])
    assert np.array_equal(shown(features="lm"), TASK.features["lm"][:2])
    only = dataclasses.replace(TASK, features={"mine": TASK.features["lm"]})
    assert np.array_equal(LLMDuelPool(task=only).observe(np.arange(2))["features"], TASK.features["lm"][:2])


def test_what_is_stored_is_what_the_packaged_encoder_says(float32: None) -> None:
    torch.set_num_threads(1)
    found = make_encoder("preference").encode(TASK.prompts[:2], TASK.references[:2, :8].tolist()).numpy()
    step = np.maximum(np.abs(load_task("short-writing").features["preference"]).max((0, 1)), 8.0) / 127
    assert (np.abs(found - TASK.features["preference"][:2, :8]) <= 0.51 * step + 1e-3).all()


@pytest.mark.parametrize("taste", TASTES)
def test_the_privileged_features_are_the_tastes_own(taste: str) -> None:
    features = shown(oracle=taste, features="knows_taste").astype(np.float64)
    weights = np.array([TASTES[taste][name] for name in FEATURES if name in TASTES[taste]])
    utilities = Reader(taste).utilities([TASK.prompts[0]] * 64, TASK.references[0].tolist())
    np.testing.assert_allclose(SCALES[taste] * features[0] @ weights, utilities, atol=1e-5)


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no features 'preferences'.*did you mean 'preference'"):
        LLMDuelPool(task=TASK, features="preferences")
    with pytest.raises(ValueError, match="no features None: expected one of"):
        LLMDuelPool(task=dataclasses.replace(TASK, features={"a": TASK.features["lm"], "b": TASK.features["lm"]}))
    with pytest.raises(ValueError, match="no stored features"):
        LLMDuelPool(task=dataclasses.replace(TASK, features={}))
    with pytest.raises(ValueError, match="knows_taste: unknown reader"):
        LLMDuelPool(task=TASK, oracle=lambda prompt, response: 1.0, features="knows_taste")


@pytest.mark.parametrize("make", [LLMDuel, LLMDuelPool])
def test_the_line_of_the_best_reference_is_brute_force(make: type[LLMDuel]) -> None:
    problem = make(task=TASK, oracle="reader-hard", references=16)
    utilities = TASK.utilities["reader-hard"][TASK.n_duel :, :16]
    best = utilities.max(1, keepdims=True)
    expected = {
        "offline_win_rate": np.mean((best > utilities) + 0.5 * (best == utilities)),
        "offline_win_probability": np.mean(1 / (1 + np.exp(utilities - best))),
    }
    found = {guide.metric: float(guide.value(7)) for guide in problem.guides(0)}
    assert found == pytest.approx(expected)
    assert {guide.name for guide in problem.guides(0)} == {"best of 16"}


def test_no_label_is_spent_on_a_line() -> None:
    asked = []

    def paid(prompt: str, response: str) -> float:
        asked.append(response)
        return 0.0

    assert LLMDuel(task=TASK, oracle=paid).guides(0) == []
    assert asked == []


def test_a_response_that_is_stored_twice_is_refused() -> None:
    """Under two numbers it would meet itself, and cost a label each time."""
    references = TASK.references.copy()
    references[3, 5] = references[3, 2]
    with pytest.raises(ValueError, match=r"row 4: the response .* is stored twice"):
        LLMDuelPool(task=dataclasses.replace(TASK, references=references))
