"""LOLA's agents against plain formulas, one arm at a time."""

import dataclasses
import math

import numpy as np
import pytest

from duelbench.agents.arms.base import ArmSetup
from duelbench.agents.arms.lola import LolaBAI, LolaTS, LolaTSConfig, LolaUCB, LolaUCBConfig
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep

ROWS, ARMS = 3, 4


def setup(seed=0):
    return ArmSetup(rows=ROWS, arms=ARMS, dim=0, labels=500, rng=np.random.default_rng(seed))


def observe(rng):
    return {"predicted_rates": rng.uniform(0.01, 0.4, (ROWS, ARMS)).astype(np.float32)}


def played(agent, rounds, seed=1):
    """The agent after some rounds, its observation, and its duels counted one by one."""
    rng = np.random.default_rng(seed)
    observation = observe(rng)
    clicks, shown = np.zeros((2, ROWS, ARMS))
    for _ in range(rounds):
        firsts, seconds = agent.propose(observation)
        feedback = rng.choice([0.0, 0.5, 1.0, np.nan], size=ROWS)
        agent.update(observation, firsts, seconds, feedback)
        for row in range(ROWS):
            if not math.isnan(feedback[row]):
                shown[row, firsts[row]] += 1
                shown[row, seconds[row]] += 1
                if feedback[row] != 0.5:
                    clicks[row, (firsts if feedback[row] == 1.0 else seconds)[row]] += 1
    return observation, clicks, shown


@pytest.mark.parametrize("n_aux", [0.0, 7.0, 1000.0])
@pytest.mark.parametrize("rounds", [0, 1, 40])
def test_the_bound_is_the_smaller_of_the_two_formulas(n_aux, rounds):
    agent = LolaUCB(setup(), LolaUCBConfig(n_aux=n_aux, a=0.3))
    observation, clicks, shown = played(agent, rounds)
    bounds = agent.bounds(observation)
    for row in range(ROWS):
        log_t = math.log(max(shown[row].sum(), 1))
        for k in range(ARMS):
            c, n, mu = clicks[row, k], shown[row, k], float(observation["predicted_rates"][row, k])
            own = c / n + 0.3 * math.sqrt(log_t / n) if n else math.inf
            total = n + n_aux
            aided = (c + n_aux * mu) / total + 0.3 * math.sqrt(log_t / total) if total else math.inf
            assert bounds[row, k] == pytest.approx(min(own, aided))
            rate = (c + n_aux * mu) / total if total else 0.0
            assert agent.rates(observation)[row, k] == pytest.approx(rate)


def test_without_pseudo_counts_it_is_plain_ucb_bit_for_bit():
    agent, rng, plain_rng = LolaUCB(setup(), LolaUCBConfig(n_aux=0.0)), np.random.default_rng(3), setup().rng
    clicks, shown = np.zeros((2, ROWS, ARMS))
    every = np.arange(ROWS)
    for _ in range(200):
        observation = observe(rng)  # what is predicted must not matter
        log_t = np.log(np.maximum(shown.sum(1, keepdims=True), 1.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            bounds = np.where(shown > 0, clicks / shown + 0.08 * np.sqrt(log_t / shown), np.inf)
        expected = []
        for _side in range(2):
            keys = plain_rng.random((ROWS, ARMS))
            expected.append(np.where(bounds == bounds.max(1, keepdims=True), keys, -1.0).argmax(1))
        pair = agent.propose(observation)
        assert np.array_equal(pair[0], expected[0]) and np.array_equal(pair[1], expected[1])
        feedback = rng.choice([0.0, 0.5, 1.0], size=ROWS)
        agent.update(observation, *pair, feedback)
        for arms, won in ((pair[0], feedback == 1.0), (pair[1], feedback == 0.0)):
            shown[every, arms] += 1
            clicks[every, arms] += won


def test_the_posterior_is_the_beta_of_the_formula_and_without_pseudo_counts_forgets_predictions():
    agent = LolaTS(setup(), LolaTSConfig(n_aux=50.0))
    observation, clicks, shown = played(agent, 40)
    mu = observation["predicted_rates"].astype(float)
    won, lost = agent.posterior(observation)
    assert won == pytest.approx(1.38 + 50 * mu + clicks) and lost == pytest.approx(
        96.11 + 50 * (1 - mu) + shown - clicks
    )
    agent.config = dataclasses.replace(agent.config, n_aux=0.0)
    won, lost = agent.posterior(observation)
    assert np.array_equal(won, 1.38 + clicks) and lost == pytest.approx(96.11 + shown - clicks)
    again = LolaTS(setup(5), LolaTSConfig(n_aux=0.0))
    again.clicks, again.shown = clicks, shown
    sampled = np.random.default_rng(5).beta(won, lost, size=(2, ROWS, ARMS)).argmax(-1)
    assert np.array_equal(np.stack(again.propose(observation)), sampled)


def test_best_arm_identification_plays_the_leader_against_the_best_bound_of_the_others():
    agent = LolaBAI(setup(), LolaUCBConfig(n_aux=20.0))
    observation, _, _ = played(agent, 30)
    bounds, rates = agent.bounds(observation), agent.rates(observation)
    firsts, seconds = agent.propose(observation)
    for row in range(ROWS):
        assert firsts[row] == agent.respond(observation)[row] == max(range(ARMS), key=lambda k: rates[row, k])
        assert seconds[row] == max((k for k in range(ARMS) if k != firsts[row]), key=lambda k: bounds[row, k])


@pytest.mark.parametrize("name", ["lola_ucb", "lola_ts", "lola_bai"])
def test_perfect_predictions_lower_regret_and_wrong_ones_do_less(tmp_path, name):
    def final(noise, n_aux):
        spec = RunSpec(
            env="HeadlineDuel-v0",
            agent=name,
            seed=0,
            labels=600,
            batch=1,
            judging=Judging(every=600),
            lockstep=40,
            env_kwargs={"predictor_noise": noise},
            agent_options={"n_aux": n_aux},
        )
        with np.load(run_lockstep(spec, tmp_path) / "curves.npz", allow_pickle=False) as stored:
            return stored["cumulative_average_regret"][:, -1].mean()

    perfect, blind, none = final(0.0, 1000.0), final(4.0, 1000.0), final(0.0, 0.0)
    assert perfect < 0.75 * none and perfect < 0.75 * blind


def test_an_environment_without_predictions_is_named():
    with pytest.raises(ValueError, match="HeadlineDuel-v0"):
        LolaTS(setup()).propose({"context": np.zeros(ROWS)})
