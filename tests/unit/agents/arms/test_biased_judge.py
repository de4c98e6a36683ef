"""Agents for a judge that favours a position, against simulation and plain counting."""

import numpy as np
import pytest

from duelbench.agents.arms.base import ArmSetup
from duelbench.agents.arms.matrix.stella import Stella, StellaConfig, calibrated, position_bias
from duelbench.agents.arms.matrix.swap_orders import SwapOrders
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep

ROWS, ARMS = 6, 4


def curves_of(agent, out, *, labels=600, seeds=20, options=None, **kwargs):
    env = {"matrix": "bt", "arms": 6, "options": {"scale": 2.0}} | kwargs
    spec = RunSpec(
        env="MatrixDuel-v0",
        agent=agent,
        seed=0,
        labels=labels,
        batch=1,
        judging=Judging(every=labels),
        env_kwargs=env,
        agent_options=options or {},
        lockstep=seeds,
    )
    with np.load(run_lockstep(spec, out) / "curves.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def judged(preferences, bias, shown, rng):
    """Wins of the first arm of n[s, i, j] duels before a judge of that bias, drawn one stage at a time."""
    by_place = rng.binomial(shown.astype(int), abs(bias))
    rest = rng.binomial(shown.astype(int) - by_place, preferences)
    return rest + (by_place * 1.0 if bias > 0 else 0.0)


def matrices(rng, rows=ROWS):
    upper = np.triu(rng.random((rows, ARMS, ARMS)), 1)
    return upper + np.tril(1.0 - upper.transpose(0, 2, 1), -1) + 0.5 * np.eye(ARMS)


def setup(rows=ROWS, arms=ARMS, seed=0):
    return ArmSetup(rows=rows, arms=arms, dim=0, labels=1000, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("bias", [-0.5, 0.0, 0.3, 0.7])
def test_a_known_bias_is_found_from_both_orders(bias):
    rng = np.random.default_rng(0)
    preferences = matrices(rng, rows=200)
    shown = np.full(preferences.shape, 20.0)
    found = position_bias(judged(preferences, bias, shown, rng), shown, 1.0)
    # m is a share of 320 answers, so b has a standard error below 2 / sqrt(4 * 320) a row
    assert np.abs(found - bias).max() < 0.25 and found.mean() == pytest.approx(bias, abs=0.012)


def test_the_bias_is_that_of_plain_counting_and_lopsided_pairs_do_not_move_it():
    won, shown = np.zeros((2, 1, 3, 3))
    won[0, 0, 1], shown[0, 0, 1] = 9, 10
    won[0, 1, 0], shown[0, 1, 0] = 2, 5
    won[0, 0, 2], shown[0, 0, 2] = 50, 50  # never turned round: says nothing of the position
    won[0, 2, 2], shown[0, 2, 2] = 3, 4
    first_wins, answers = 5 * 0.9 + 2 + 3, 5 + 5 + 4
    assert position_bias(won, shown, 2.0)[0] == pytest.approx(2 * (2 + first_wins) / (4 + answers) - 1)


@pytest.mark.parametrize("bias", [-0.4, 0.0, 0.4])
def test_calibrated_shares_are_unbiased_whatever_the_order(bias):
    rng = np.random.default_rng(1)
    preferences = np.full((4000, 2, 2), 0.5)
    preferences[:, 0, 1], preferences[:, 1, 0] = 0.6, 0.4
    shown = np.zeros(preferences.shape)
    shown[:, 0, 1], shown[:, 1, 0] = 80.0, 20.0
    won, played = calibrated(judged(preferences, bias, shown, rng), shown, np.full(4000, bias))
    assert (won[:, 0, 1] / played[:, 0, 1]).mean() == pytest.approx(0.6, abs=4 * 0.08 / np.sqrt(4000))
    assert won + won.transpose(0, 2, 1) == pytest.approx(played)


@pytest.mark.parametrize("bias", [-0.4, 0.4])
def test_calibrated_counts_are_as_sure_as_simulation_says(bias):
    rng = np.random.default_rng(2)
    preferences = np.full((20_000, 2, 2), 0.5)
    shown = np.full(preferences.shape, 100.0)
    won, played = calibrated(judged(preferences, bias, shown, rng), shown, np.full(len(shown), bias))
    share, claimed = won[:, 0, 1] / played[:, 0, 1], played[0, 0, 1]
    assert share.var() == pytest.approx(0.25 / claimed, rel=0.05)
    assert claimed == pytest.approx(200 * 0.6 / 1.4)


def test_without_a_bias_counts_are_left_as_they_are():
    rng = np.random.default_rng(3)
    shown = rng.integers(0, 9, (ROWS, ARMS, ARMS)).astype(float)
    won = np.floor(shown * rng.random(shown.shape))
    wins, played = calibrated(won, shown, np.zeros(ROWS))
    both = shown + shown.transpose(0, 2, 1)
    assert played == pytest.approx(both)
    assert wins == pytest.approx(np.where(both > 0, won + (shown - won).transpose(0, 2, 1), 0.0))


def test_the_base_agent_knows_exactly_the_calibrated_counts():
    agent, rng = Stella(setup(), StellaConfig(probes=3)), np.random.default_rng(4)
    for _ in range(60):
        firsts, seconds = agent.propose({})
        feedback = np.where(rng.random(ROWS) < 0.1, np.nan, (rng.random(ROWS) < 0.7).astype(float))
        agent.update({}, firsts, seconds, feedback)
    wins, played = calibrated(agent.won, agent.shown, agent.bias)
    assert np.array_equal(agent.base.wins, wins) and np.array_equal(agent.base.played, played)
    # what double TS derives from counts is that of the present counts, of all pairs
    lead = wins - wins.transpose(0, 2, 1)
    weights = np.divide(lead**2, 4 * played, out=np.zeros_like(lead), where=played > 0) * (lead < 0)
    off = ~np.eye(ARMS, dtype=bool)
    assert agent.base.evidence.transpose(1, 2, 0)[:, off] == pytest.approx(weights[:, off])


def test_probes_come_in_both_orders_and_later_duels_keep_orders_balanced():
    agent, rng = Stella(setup(), StellaConfig(probes=4)), np.random.default_rng(5)
    for t in range(200):
        firsts, seconds = agent.propose({})
        if t < 8 and t % 2:
            assert np.array_equal(firsts, last[1]) and np.array_equal(seconds, last[0])  # noqa: F821
            assert (firsts != seconds).all()
        last = firsts, seconds  # noqa: F841
        agent.update({}, firsts, seconds, (rng.random(ROWS) < 0.6).astype(float))
    assert np.abs(agent.shown - agent.shown.transpose(0, 2, 1)).max() <= 1.0


def test_swapping_asks_twice_and_calls_contradictions_ties():
    agent = SwapOrders(setup(rows=4))
    firsts, seconds = agent.propose({})
    agent.update({}, firsts, seconds, np.array([1.0, 1.0, 0.0, 0.0]))
    assert agent.base.t == 0 and agent.base.played.sum() == 0.0
    turned = agent.propose({})
    assert np.array_equal(turned[0], seconds) and np.array_equal(turned[1], firsts)
    agent.update({}, *turned, np.array([0.0, 1.0, 0.0, 1.0]))
    rows = np.arange(4)
    assert agent.base.wins[rows, firsts, seconds].tolist() == [1.0, 0.5, 0.5, 0.0]
    assert agent.base.t == 1 and np.isnan(agent.waiting).all()


def test_a_duel_without_an_answer_does_not_count_as_half_of_one():
    agent = SwapOrders(setup(rows=2))
    firsts, seconds = agent.propose({})
    agent.update({}, firsts, seconds, np.array([np.nan, 1.0]))
    agent.update({}, *agent.propose({}), np.array([1.0, 0.0]))
    assert agent.base.wins[1, firsts[1], seconds[1]] == 1.0 and agent.base.played[0].sum() == 0.0


@pytest.mark.parametrize("base", ["double_ts", "rucb"])
def test_calibration_finds_the_environments_bias_and_the_better_arm(tmp_path, base):
    # Before this judge an answer is worth (1 − 0.7)/(1 + 0.7) = 0.18 answers. 600 duels are 106, and RUCB, for which a
    # pair never played has U = 2, still tries all 15 pairs by then: without any bias too it has 0.86 of the regret of
    # uniform pairs after 106 duels, and 0.44 after 353, which 2,000 before this judge are worth.
    labels = {"double_ts": 600, "rucb": 2000}[base]
    regret, simple = {}, {}
    for name, options in ((base, {}), ("stella", {"base": base}), ("swap_orders", {"base": base})):
        curves = curves_of(name, tmp_path, labels=labels, options=options, position_bias=0.7)
        regret[name] = curves["cumulative_average_regret"][:, -1].mean()
        simple[name] = curves["simple_regret"][:, -1].mean()
        if name == "stella":
            assert curves["position_bias_estimate"][:, -1].mean() == pytest.approx(0.7, abs=0.03)
    assert regret["stella"] < regret[base] and regret["stella"] < 0.9 * regret["swap_orders"]
    assert simple["stella"] < 0.75 * simple[base]


def test_without_a_bias_calibration_costs_little_more_than_its_probes(tmp_path):
    """Tolerance: what 2 · 5 uniform pairs cost, and a fifth of the base agent's regret."""
    plain = curves_of("double_ts", tmp_path)["cumulative_average_regret"][:, -1].mean()
    uniform = curves_of("uniform", tmp_path)["cumulative_average_regret"][:, -1].mean()
    stella = curves_of("stella", tmp_path)["cumulative_average_regret"][:, -1].mean()
    assert stella < 1.2 * plain + uniform * 10 / 600


@pytest.mark.parametrize("name", ["stella", "swap_orders"])
def test_they_play_with_rucb_and_with_late_answers(tmp_path, name):
    curves = curves_of(name, tmp_path, labels=200, seeds=4, options={"base": "rucb"}, delay=20.0, position_bias=0.3)
    assert np.isfinite(curves["cumulative_average_regret"]).all()


def test_options_that_make_no_sense_are_named():
    with pytest.raises(ValueError, match="probes must be a whole number ≥ 0, got -1"):
        StellaConfig(probes=-1)
