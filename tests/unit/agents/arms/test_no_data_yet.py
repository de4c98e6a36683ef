"""What stands in for a mean, a bound or a count as long as there is no data, by its source.

Zoghi et al. (RUCB, RCS, CCB) and Wu & Liu (DTS) set x/0 := 1: U = 1 + 1 and L = 1 − 1. UCB plays every arm once.
Thompson samples begin with Beta(1, 1). Komiyama's RMED and beat the mean take ½ for an unknown share, and those that
remove arms are not sure of anything before there are duels. LOLA and the guide of in_context try what was never tried
first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from duelbench.agents.arms.base import ArmSetup
from duelbench.agents.arms.duel_text import upper_bounds
from duelbench.agents.arms.matrix.savage import sure_loser
from duelbench.agents.arms.matrix.sparring import optimistic_means
from duelbench.agents.registry import make_agent

ARMS = 4


def made(name: str, **options: Any) -> Any:
    setup = ArmSetup(rows=1, arms=ARMS, dim=0, labels=1000, rng=np.random.default_rng(0))
    return make_agent(name, setup, options, arms=True)


def one_win(agent: Any, first: int, second: int) -> Any:
    agent.update({}, np.array([first]), np.array([second]), np.array([1.0]))
    return agent


@pytest.mark.parametrize("name", ["rucb", "rcs", "ccb"])
def test_a_pair_never_played_has_an_upper_bound_of_two(name: str) -> None:
    agent = one_win(made(name), 1, 0)
    upper = agent.upper_against(np.array([0]), agent.level(0.51))[0]
    assert upper[[2, 3]].tolist() == [2.0, 2.0] and upper[0] == 0.5
    assert upper[1] == pytest.approx(1.0 + math.sqrt(0.51 * math.log(2)))


def test_komiyamas_rucb_gives_it_one() -> None:
    agent = one_win(made("rucb", unseen=1.0), 1, 0)
    assert agent.upper_against(np.array([0]), 0.0)[0, 2:].tolist() == [1.0, 1.0]


def test_its_lower_bound_is_zero_so_it_may_be_the_second_arm_of_dts() -> None:
    agent, seen = made("double_ts"), set()
    for _ in range(60):
        seen |= {int(agent._second(np.array([0]), 0.0)[0])}
    assert seen == set(range(ARMS))


@pytest.mark.parametrize("name", ["sparring_ts", "self_sparring", "double_ts"])
def test_thompson_samples_begin_uniform(name: str) -> None:
    agent = made(name)
    if name == "double_ts":
        assert (agent.tournament.odds == 0.5).all()
        return
    drawn = np.concatenate([agent.propose({}) for _ in range(1000)], axis=None)
    assert np.bincount(drawn, minlength=ARMS) / len(drawn) == pytest.approx(np.full(ARMS, 1 / ARMS), abs=0.05)


def test_ucb_tries_every_arm_once() -> None:
    index = optimistic_means(np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0]), 2.5)
    assert index[2] == np.inf and np.isfinite(index[:2]).all()


def test_merge_rucb_plays_pairs_never_played_first() -> None:
    agent = made("merge_rucb")
    for first, second in ((1, 0), (2, 0)):
        for _ in range(3):
            one_win(agent, first, second)
    members = np.array([[True, True, True, True]])
    chosen = [agent.choose_within(members) for _ in range(40)]
    assert {int(seconds[0]) for firsts, seconds in chosen if firsts[0] == 0} == {3}


def test_nobody_is_removed_without_data() -> None:
    agent = made("beat_the_mean")
    agent._remove(np.array([0]))
    assert agent.active.all() and (agent.mean() == 0.5).all()
    agent = made("interleaved_filter", width=1e-9)
    agent.update({}, np.array([0]), np.array([1]), np.array([np.nan]))
    assert agent.rivals.sum() == ARMS - 1
    agent = made("savage", width=1e-9)
    assert sure_loser(agent, np.array([0]), np.array([1]), 0.0).tolist() == [-1]


def test_rmed_takes_a_half_and_explores_from_the_third_duel_on() -> None:
    agent = made("rmed2")
    assert (agent._means(np.array([0])) == 0.5).all()
    assert agent.loglog(1) == agent.loglog(3) == math.log(math.log(3))


def test_what_was_never_tried_has_no_bound() -> None:
    assert upper_bounds(np.array([1.0, 0.0]), np.array([2.0, 0.0]))[1] == np.inf
    agent = made("lola_ucb", n_aux=0.0)
    assert (agent.bounds({"predicted_rates": np.full((1, ARMS), 0.1)}) == np.inf).all()


def test_a_deployed_arm_is_not_favoured_for_pairs_it_never_played() -> None:
    scores = one_win(made("rucb"), 1, 0).scores({})[0]
    assert scores.argmax() == 1 and scores[2] == scores[3] and scores[0] < scores[2] < scores[1]
