"""Evidence by betting: closed forms, the error rate at every moment, and what chains of claims settle."""

import itertools
import math

import numpy as np
import pytest

from duelbench.errors import UsageError
from duelbench.rank.statistics.evidence import Evidence, growth, stake
from duelbench.rank.statistics.goal import Goal


def test_wealth_is_the_product_of_the_bets():
    evidence = Evidence(3, 0.05)
    evidence.add(0, 1, 1.0, 0.75)  # stakes ½ that 1 loses: it does
    evidence.add(1, 0, 1.0, 0.25)  # again, on the other side: it wins
    evidence.add(0, 1, 0.5, 0.75)  # a tie settles nothing
    assert evidence.wealth[1] == pytest.approx(math.log(1.5 * 0.5)) and evidence.wealth[0] == 0.0
    assert evidence.doubt[1] == pytest.approx(math.log(1.5))  # what was proved once stays proved


def test_a_bet_at_even_odds_gains_nothing_and_a_good_one_the_divergence():
    chances = np.linspace(0.5, 0.95, 10)
    divergence = chances * np.log(2 * chances) + (1 - chances) * np.log(2 * (1 - chances))
    np.testing.assert_allclose(growth(chances), divergence, atol=1e-9)
    for chance in np.linspace(0, 1, 21):
        assert sum(0.5 * (1.0 + stake(chance) * score) for score in (1, -1)) == pytest.approx(1.0)


@pytest.mark.parametrize("place", [0.0, 2.0])
def test_the_best_is_ever_put_out_no_more_often_than_promised(place):
    """Two equally good items, stakes that follow the luck so far, a look after every vote: the hardest case.

    1,000 rankings of 100 votes; 5 % and three standard errors. The advantage of the first place must not matter.
    """
    rng, wrong, n = np.random.default_rng(0), 0, 1000
    for _ in range(n):
        evidence, wins = Evidence(2, 0.05), np.ones(2)
        for turned, luck in rng.random((100, 2)):
            first = int(turned < 0.5)
            named_first = float(luck < 1 / (1 + np.exp(-place)))
            evidence.add(first, 1 - first, named_first, wins[first] / wins.sum())
            wins[first if named_first else 1 - first] += 1
        wrong += not evidence.left[0]
    assert 0 < wrong / n <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n)


def test_claims_are_chained():
    evidence = Evidence(4, 0.05)
    for better, worse in itertools.pairwise([2, 0, 3]):
        while (better, worse) not in evidence.claims:
            evidence.add(better, worse, 1.0, 0.9)
    assert evidence.below(2) == {0, 3} and evidence.below(3) == set()
    assert evidence.is_order([2, 0, 3]) and not evidence.is_order([2, 3, 0])
    assert not evidence.is_top([2, 0])  # nothing is known of item 1
    while (0, 1) not in evidence.claims:
        evidence.add(0, 1, 1.0, 0.9)
    assert evidence.is_top([2, 0]) and evidence.is_top([2]) and not evidence.is_top([0])
    assert evidence.settled == pytest.approx(math.log(4 * 3 / 0.05))


def test_what_is_needed_for_each_goal():
    evidence, order = Evidence(4, 0.05), np.array([3, 1, 0, 2])
    pairs = {}
    for name in ("top1", "top2", "order"):
        better, worse, _ = Goal.of(name, 4).needed(evidence, order)
        pairs[name] = {*zip(better.tolist(), worse.tolist(), strict=True)}
    assert pairs["top1"] == {(3, 1), (3, 0), (3, 2)}
    assert pairs["top2"] == {(3, 0), (1, 0), (1, 2)}
    assert pairs["order"] == {(3, 1), (1, 0), (0, 2)}


@pytest.mark.parametrize("wrong", ["top0", "top4", "best", "top"])
def test_other_goals_are_refused(wrong):
    with pytest.raises(UsageError, match="--until expects"):
        Goal.of(wrong, 4)
