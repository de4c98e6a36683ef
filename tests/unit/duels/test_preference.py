"""From utilities to probabilities to verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from duelbench.duels.preference import LINKS, REWARD_OF_VERDICT, Feedback, preference_probability
from duelbench.types import Verdict

utilities = st.floats(-50, 50)


@given(utilities, utilities, st.floats(0.01, 100), st.sampled_from(sorted(LINKS)))
def test_swapping_the_pair_gives_the_complement(a: float, b: float, temperature: float, link: str) -> None:
    forth = preference_probability(a, b, temperature=temperature, link=link)
    back = preference_probability(b, a, temperature=temperature, link=link)
    assert forth == pytest.approx(1.0 - back, abs=1e-12)
    assert 0.0 <= forth <= 1.0
    assert preference_probability(a, a, temperature=temperature, link=link) == 0.5


@given(utilities, utilities, st.floats(0.1, 10))
def test_each_link_is_its_closed_form(a: float, b: float, temperature: float) -> None:
    z = (a - b) / temperature
    logistic = 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))
    normal = 0.5 * math.erfc(-z / math.sqrt(2))
    step = 0.5 if a == b else float(a > b)
    for link, expected in (("bradley-terry", logistic), ("thurstone", normal)):
        assert preference_probability(a, b, temperature=temperature, link=link) == pytest.approx(expected, rel=1e-9)
    if z != 0.0 or a == b:  # a difference may underflow
        assert preference_probability(a, b, temperature=temperature, link="deterministic") == step


def test_utilities_broadcast() -> None:
    table = preference_probability(np.zeros((3, 1)), np.zeros(4))
    assert table.shape == (3, 4)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be positive"):
        preference_probability(0.0, 0.0, temperature=temperature)


def test_an_unknown_link_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="bradley-terry"):
        preference_probability(0.0, 0.0, link="probit")


@pytest.mark.parametrize("link", sorted(LINKS))
@pytest.mark.parametrize("gap", [-2.0, -0.3, 0.0, 0.7])
@pytest.mark.parametrize("flip", [0.0, 0.2])
def test_verdict_frequencies_match_the_probability(link: str, gap: float, flip: float) -> None:
    n = 20_000
    p = float(preference_probability(gap, 0.0, link=link))
    uniforms = np.random.default_rng(7).random((n, 2))
    wins = int((Feedback("bernoulli", flip).verdicts(np.full(n, p), uniforms) == Verdict.FIRST).sum())
    expected = p * (1 - flip) + (1 - p) * flip
    low, high = binom.ppf([1e-6, 1 - 1e-6], n, expected)
    assert low <= wins <= high


def test_bernoulli_feedback_is_a_threshold_on_the_uniform() -> None:
    uniforms = np.array([[0.69, 0.0], [0.70, 0.0], [0.71, 0.0]])
    verdicts = Feedback().verdicts(np.full(3, 0.7), uniforms)
    assert verdicts.tolist() == [Verdict.FIRST, Verdict.SECOND, Verdict.SECOND]


def test_certain_outcomes_are_certain() -> None:
    uniforms = np.random.default_rng(0).random((1000, 2))
    assert (Feedback().verdicts(np.ones(1000), uniforms) == Verdict.FIRST).all()
    assert (Feedback().verdicts(np.zeros(1000), uniforms) == Verdict.SECOND).all()


def test_deterministic_feedback_names_the_likelier_and_ties_at_one_half() -> None:
    uniforms = np.random.default_rng(0).random((3, 2))
    verdicts = Feedback("deterministic").verdicts(np.array([0.500001, 0.5, 0.499999]), uniforms)
    assert verdicts.tolist() == [Verdict.FIRST, Verdict.TIE, Verdict.SECOND]


@pytest.mark.parametrize("mode", ["bernoulli", "deterministic"])
def test_flip_one_turns_every_winner_round_and_leaves_ties_and_failures(mode: str) -> None:
    probability = np.array([0.9, 0.1, 0.6, 0.4, np.nan])
    uniforms = np.random.default_rng(1).random((5, 2))
    straight = Feedback(mode).verdicts(probability, uniforms)  # type: ignore[arg-type]
    turned = Feedback(mode, 1.0).verdicts(probability, uniforms)  # type: ignore[arg-type]
    opposite = {
        Verdict.FIRST: Verdict.SECOND,
        Verdict.SECOND: Verdict.FIRST,
        Verdict.INVALID: Verdict.INVALID,
    }
    assert [opposite[Verdict(v)] for v in straight] == turned.tolist()
    tie = Feedback("deterministic", 1.0).verdicts(np.array([0.5]), uniforms[:1])
    assert tie.tolist() == [Verdict.TIE]


@pytest.mark.parametrize("feedback", [Feedback(), Feedback("deterministic"), Feedback("bernoulli", 1.0)])
def test_a_failed_answer_is_invalid_and_spoils_no_other(feedback: Feedback) -> None:
    probability = np.array([0.9, np.nan, 0.1, np.nan])
    uniforms = np.random.default_rng(2).random((4, 2))
    verdicts = feedback.verdicts(probability, uniforms)
    assert verdicts[[1, 3]].tolist() == [Verdict.INVALID] * 2
    assert verdicts[[0, 2]].tolist() == feedback.verdicts(probability[[0, 2]], uniforms[[0, 2]]).tolist()
    assert np.isnan(REWARD_OF_VERDICT[verdicts]).tolist() == [False, True, False, True]


@pytest.mark.parametrize("probability", [-0.01, 1.01, np.inf])
def test_an_impossible_probability_is_an_error(probability: float) -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        Feedback().verdicts(np.array([0.5, probability]), np.zeros((2, 2)))


def test_feedback_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="'bernoulli' or 'deterministic'"):
        Feedback("gaussian")  # type: ignore[arg-type]
    for flip in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="flip"):
            Feedback(flip=flip)
