from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import expit

from duelbench.duels.guides import (
    Guide,
    average_guides,
    bernoulli_kl,
    condorcet_slope,
    linear_guides,
    matrix_guides,
    trivial_guides,
)
from duelbench.duels.preference import LINKS

BT10 = expit(0.25 * (np.arange(10) - np.arange(10)[:, None]))
ARXIV = ((0.55, 0.55, 0.54, 0.61, 0.61), (0.55, 0.55, 0.58, 0.60), (0.54, 0.51, 0.56), (0.54, 0.50), (0.51,))
CYCLIC = np.array([[0.5, 0.6, 0.6, 0.6], [0.4, 0.5, 0.9, 0.1], [0.4, 0.1, 0.5, 0.9], [0.4, 0.9, 0.1, 0.5]])
ROCK_PAPER_SCISSORS = np.array([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])


def from_triangle(rows: tuple[tuple[float, ...], ...]) -> np.ndarray:
    arms = len(rows) + 1
    matrix = np.full((arms, arms), 0.5)
    for i, row in enumerate(rows):
        matrix[i, i + 1 :] = row
        matrix[i + 1 :, i] = 1 - np.array(row)
    return matrix


def random_matrix(arms: int, seed: int, winner: bool) -> np.ndarray:
    """Any tournament; with a winner, the last arm is lifted above all others."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((arms, arms)), 1)
    if winner:
        upper[:, -1] = np.where(np.arange(arms) < arms - 1, 0.45 * rng.random(arms), 0.0)
    return upper + np.tril(1 - upper.T, -1) + 0.5 * np.eye(arms)


def slope_by_hand(p: np.ndarray, opponents_of_winner_only: bool = False) -> float:
    """Theorem 1 of Komiyama et al. 2015 in plain loops."""
    arms = range(len(p))
    (winner,) = [i for i in arms if all(p[i, j] > 0.5 for j in arms if j != i)]
    total = 0.0
    for i in arms:
        if i == winner:
            continue
        costs = []
        for j in arms:
            if p[i, j] < 0.5 and (j == winner or not opponents_of_winner_only):
                regret = ((p[winner, i] - 0.5) + (p[winner, j] - 0.5)) / 2
                divergence = sum(a * math.log(a / 0.5) for a in (p[i, j], 1 - p[i, j]) if a > 0)
                costs.append(regret / divergence)
        total += min(costs)
    return total


def named(guides: list[Guide], start: str) -> Guide:
    """The first of that name: guides of the headline metric come first."""
    return next(guide for guide in guides if guide.name.startswith(start))


@pytest.mark.parametrize(("p", "q"), [(0.1, 0.5), (0.7, 0.2), (0.999, 0.001)])
def test_divergence_is_that_of_two_coins(p: float, q: float) -> None:
    assert float(bernoulli_kl(p, q)) == pytest.approx(float(scipy_stats.entropy([p, 1 - p], [q, 1 - q])))


def test_divergence_at_certainty() -> None:
    p, q = np.array([0.0, 1.0, 0.0, 1.0, 0.5, 0.0, 1.0, 0.5]), np.array([0.5, 0.5, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    ln2, inf = math.log(2), math.inf
    np.testing.assert_allclose(bernoulli_kl(p, q), [ln2, ln2, 0, 0, inf, inf, inf, inf])
    assert bernoulli_kl(np.full((2, 1), 0.3), np.full(3, 0.6)).shape == (2, 3)


@pytest.mark.parametrize(
    ("matrix", "published"),
    [
        (BT10, 11.77),
        (from_triangle(ARXIV), 20.73),
        (CYCLIC, 0.82),
    ],
)
def test_slope_is_the_published_one(matrix: np.ndarray, published: float) -> None:
    assert condorcet_slope(matrix) == pytest.approx(published, abs=0.006)


def test_cheap_opponents_are_what_make_the_cyclic_slope_small() -> None:
    assert slope_by_hand(CYCLIC, opponents_of_winner_only=True) == pytest.approx(7.45, abs=0.005)
    assert condorcet_slope(CYCLIC) == pytest.approx(slope_by_hand(CYCLIC))


@pytest.mark.parametrize("seed", range(20))
def test_slope_equals_the_sum_by_hand_and_knows_no_order_of_arms(seed: int) -> None:
    matrix = random_matrix(2 + seed % 6, seed, winner=True)
    expected = slope_by_hand(matrix)
    assert condorcet_slope(matrix) == pytest.approx(expected)
    order = np.random.default_rng(seed).permutation(len(matrix))
    assert condorcet_slope(matrix[order][:, order]) == pytest.approx(expected)


def test_slope_needs_a_condorcet_winner() -> None:
    assert math.isnan(condorcet_slope(ROCK_PAPER_SCISSORS))
    assert math.isnan(condorcet_slope(np.full((3, 3), 0.5)))


def test_certain_losses_and_ties_have_a_slope() -> None:
    certain = np.array([[0.5, 1.0, 1.0], [0.0, 0.5, 0.5], [0.0, 0.5, 0.5]])
    assert condorcet_slope(certain) == pytest.approx(2 * 0.25 / math.log(2))  # each loses ½ beside the winner's 0


@pytest.mark.parametrize(
    ("shape", "expected"),
    [("linear", 8.0), ("log", 2 * math.log(4)), ("sqrt", 4.0), ("two_thirds", 2 * 16 ** (1 / 3)), ("inverse", 0.5)],
)
def test_a_guide_has_a_value_from_the_first_label_on(shape: str, expected: float) -> None:
    guide = Guide("cumulative_average_regret", "g", shape, 2.0, "")  # type: ignore[arg-type]
    assert float(guide.value(4.0)) == pytest.approx(expected)
    found = guide.value([0.0, 4.0])
    assert np.isnan(found[0]) and found[1] == pytest.approx(expected)


def test_guides_survive_a_manifest() -> None:
    guide = matrix_guides(CYCLIC)[0]
    assert Guide(**dataclasses.asdict(guide)) == guide


@pytest.mark.parametrize("seed", range(3))
def test_uniform_pairs_lose_what_all_pairs_lose_on_average(seed: int) -> None:
    matrix = random_matrix(5, seed, winner=True)
    winner, arms = 4, range(5)
    pairs = [(matrix[winner, i] + matrix[winner, j] - 1) / 2 for i, j in itertools.product(arms, arms)]
    beside_best = [(matrix[winner, i] + matrix[winner, winner] - 1) / 2 for i in arms]
    guides = matrix_guides(matrix)
    assert {guide.metric for guide in guides} == {"cumulative_average_regret", "cumulative_borda_regret"}
    uniform, greedy = named(guides, "uniform pairs"), named(guides, "best vs uniform")
    assert uniform.shape == greedy.shape == "linear"
    assert uniform.coefficient == pytest.approx(np.mean(pairs))
    assert greedy.coefficient == pytest.approx(np.mean(beside_best))


def test_guides_of_a_matrix_with_a_winner() -> None:
    guides = matrix_guides(CYCLIC)
    slope, rate = named(guides, "c ln T"), named(guides, "√(KT)")
    assert (slope.shape, slope.coefficient) == ("log", condorcet_slope(CYCLIC))
    assert (rate.shape, rate.coefficient) == ("sqrt", 2.0)
    assert "slope" in slope.says and "not on the level" in slope.says and "constant not known" in rate.says


def test_without_a_condorcet_winner_guides_are_about_copeland_regret() -> None:
    # Arms 0, 1, 2 form a cycle and all beat arm 3: Copeland scores 2/3, 2/3, 2/3, 0.
    matrix = np.full((4, 4), 0.5)
    matrix[:3, :3] = ROCK_PAPER_SCISSORS
    matrix[:3, 3], matrix[3, :3] = 0.8, 0.2
    guides = matrix_guides(matrix)
    assert {guide.metric for guide in guides} == {"cumulative_copeland_regret", "cumulative_borda_regret"}
    assert named(guides, "uniform pairs").coefficient == pytest.approx((2 / 3) / 4)
    assert not any(guide.shape == "log" for guide in guides)


def test_borda_regret_has_its_own_rate_and_uniform_line() -> None:
    guides = [guide for guide in matrix_guides(CYCLIC) if guide.metric == "cumulative_borda_regret"]
    scores = np.array([(row.sum() - 0.5) / 3 for row in CYCLIC])
    assert named(guides, "uniform pairs").coefficient == pytest.approx(scores.max() - scores.mean())
    rate = named(guides, "∛(KT²)")
    assert (rate.shape, rate.coefficient) == ("two_thirds", pytest.approx(4 ** (1 / 3)))


@pytest.mark.parametrize("link", ["bradley-terry", "thurstone"])
def test_the_floor_takes_the_most_that_an_answer_can_tell(link: str) -> None:
    slack = 1e-4  # dp/dz by differences, over a grid of utility gaps
    gaps = np.linspace(-4, 4, 2001)
    p, slope = LINKS[link](gaps), (LINKS[link](gaps + slack) - LINKS[link](gaps - slack)) / (2 * slack)
    most = float((slope**2 / (p * (1 - p))).max())
    (floor,) = [g for g in linear_guides(3, 0.1, 2.0, link) if g.metric == "parameter_error"]
    assert floor.coefficient == pytest.approx(9 / (most * 2.0), rel=1e-6)


@pytest.mark.parametrize("link", ["linear", "deterministic"])
def test_answers_without_noise_have_no_floor(link: str) -> None:
    assert all(guide.metric != "parameter_error" for guide in linear_guides(3, 0.1, 2.0, link))


def test_guides_of_linear_utilities() -> None:
    guides = linear_guides(9, uniform=0.6, span=4.0)
    regret = "cumulative_average_regret"
    assert sorted((guide.metric, guide.shape, guide.coefficient) for guide in guides) == [
        (regret, "linear", 0.3),
        (regret, "linear", 0.6),
        (regret, "sqrt", 3.0),
        (regret, "sqrt", 9.0),
        ("parameter_error", "inverse", 81.0),
    ]
    assert all("constant not known" in guide.says for guide in guides if guide.shape == "sqrt")


def test_the_estimation_floor_is_a_floor() -> None:
    """No design beats it: tr (T E[zzᵀ] / 4)⁻¹ ≥ 4d² / (T max|z|²), with equality for orthogonal z."""
    rng, dim, duels = np.random.default_rng(0), 4, 1000
    for differences in (np.eye(dim), rng.standard_normal((30, dim)), rng.random((30, dim)) - 0.5):
        span = float((differences**2).sum(-1).max())
        (floor,) = [g for g in linear_guides(dim, 0.1, span) if g.metric == "parameter_error"]
        weights = rng.dirichlet(np.ones(len(differences)), size=50)
        weights[0] = 1 / len(differences)
        information = duels * np.einsum("wn,ni,nj->wij", weights, differences, differences) / 4  # p = ½ tells most
        errors = np.trace(np.linalg.inv(information), axis1=1, axis2=2)
        assert (errors >= float(floor.value(duels)) * (1 - 1e-9)).all()
        if len(differences) == dim:
            assert errors[0] == pytest.approx(float(floor.value(duels)))


def test_instances_are_averaged_by_name() -> None:
    groups = [matrix_guides(CYCLIC), matrix_guides(from_triangle(ARXIV))]
    mean = average_guides(groups)
    assert [guide.name for guide in mean] == [guide.name for guide in groups[0]]
    for guide, *same in zip(mean, *groups, strict=True):
        assert guide.coefficient == pytest.approx(np.mean([g.coefficient for g in same]))
        assert dataclasses.replace(guide, coefficient=0) == dataclasses.replace(same[0], coefficient=0)


def test_what_is_not_known_is_left_out_of_an_average() -> None:
    known = trivial_guides("cumulative_average_regret", 0.4)
    unknown = [dataclasses.replace(guide, coefficient=math.nan) for guide in known]
    elsewhere = [dataclasses.replace(known[0], metric="simple_regret", coefficient=9.0)]
    assert average_guides([known, unknown]) == known
    assert average_guides([unknown, unknown]) == []
    assert average_guides([known, elsewhere]) == [*known, *elsewhere]
    assert average_guides([]) == []
