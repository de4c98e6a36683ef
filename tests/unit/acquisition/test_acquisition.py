"""Pair-selection rules against loops over members, prompts and pairs in plain Python."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from scipy.stats import chi2

from duelbench import acquisition
from duelbench.acquisition import (
    RULES,
    bai_thompson,
    ee_thompson,
    max_gap,
    thompson_member,
    uncertainty,
    uniform,
)

Table = list[list[float]]  # one prompt: E members x M candidates


def many_rewards() -> Iterator[np.ndarray]:
    """Random rewards; coarse ones have many ties and duplicated candidates, and their sums are exact in float64."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers([1, 1, 2], [7, 6, 7]))
        yield rng.integers(-2, 3, shape).astype(float) if seed % 2 else rng.standard_normal(shape)


class Fixed(np.random.Generator):
    """A generator whose posterior members are known beforehand."""

    def __init__(self, members: list[int]) -> None:
        super().__init__(np.random.PCG64(0))
        self.members = np.array(members)

    def integers(self, *args: object, **kwargs: object) -> np.ndarray:  # type: ignore[override]
        return self.members


def first_max(values: list[float]) -> int:
    return values.index(max(values))


def variance(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / len(values)


def spread(table: Table, i: int, j: int, scale: str) -> float:
    """Var_e of the duel i against j, by its definition."""
    gaps = [row[i] - row[j] for row in table]
    return variance([1 / (1 + math.exp(-gap)) for gap in gaps] if scale == "probability" else gaps)


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_bai_duels_the_members_best_with_its_most_uncertain_rival(scale: str) -> None:
    for rewards in many_rewards():
        n_members, n_prompts, n = rewards.shape
        members = [b % n_members for b in range(n_prompts)]
        first, second = bai_thompson(rewards, Fixed(members), scale=scale)  # type: ignore[arg-type]
        for b in range(n_prompts):
            table = rewards[:, b].tolist()
            assert first[b] == first_max(table[members[b]])
            spreads = [spread(table, first[b], j, scale) for j in range(n)]
            assert spreads[second[b]] == pytest.approx(max(spreads), abs=1e-12)


def test_bai_never_duels_a_response_with_its_copy_while_any_rival_is_uncertain() -> None:
    for rewards in many_rewards():
        doubled = np.concatenate([rewards, rewards], axis=-1)
        first, second = bai_thompson(doubled, np.random.default_rng(0))
        n = rewards.shape[-1]
        for b in range(rewards.shape[1]):
            table = rewards[:, b].tolist()
            if max(spread(table, first[b] % n, j, "probability") for j in range(n)) > 1e-12:
                assert (rewards[:, b, first[b] % n] != rewards[:, b, second[b] % n]).any()
            assert first[b] < n  # equal values are resolved to the lowest column


def test_thompson_member_takes_the_drawn_members_best() -> None:
    for rewards in many_rewards():
        members = [(3 * b + 1) % len(rewards) for b in range(rewards.shape[1])]
        best = thompson_member(rewards, Fixed(members))
        assert best.tolist() == [first_max(rewards[members[b], b].tolist()) for b in range(rewards.shape[1])]
        whole = thompson_member(rewards, Fixed(members), member="batch")
        assert whole.tolist() == [first_max(rewards[members[0], b].tolist()) for b in range(rewards.shape[1])]


def test_members_are_drawn_uniformly_for_every_prompt_or_once_for_the_batch() -> None:
    n_members, n_prompts = 5, 20_000
    rewards = np.broadcast_to(np.eye(n_members)[:, None, :], (n_members, n_prompts, n_members))
    counts = np.bincount(thompson_member(rewards, np.random.default_rng(0)), minlength=n_members)
    assert chi_square(counts, np.full(n_members, n_prompts / n_members))
    firsts = [thompson_member(rewards[:, :7], np.random.default_rng(s), member="batch") for s in range(60)]
    assert all(len(set(first.tolist())) == 1 for first in firsts)
    assert len({int(first[0]) for first in firsts}) == n_members


@pytest.mark.parametrize("clash", ["uniform", "second_best", "identical"])
def test_ee_duels_the_best_of_two_members_that_disagree(clash: str) -> None:
    for seed, rewards in enumerate(many_rewards()):
        first, second = ee_thompson(rewards, np.random.default_rng(seed), clash=clash)  # type: ignore[arg-type]
        for b in range(rewards.shape[1]):
            table = rewards[:, b].tolist()
            bests = {first_max(row) for row in table}
            assert first[b] in bests
            if len(bests) > 1:
                assert second[b] in bests - {first[b]}
            elif clash == "identical":
                assert second[b] == first[b]
            elif clash == "second_best":
                assert second[b] in {first_max([*row[: first[b]], -math.inf, *row[first[b] + 1 :]]) for row in table}
            else:
                assert second[b] != first[b] and 0 <= second[b] < rewards.shape[-1]


@pytest.mark.parametrize("member", ["prompt", "batch"])
def test_on_a_clash_the_first_members_second_best_is_taken_not_the_means(member: Literal["prompt", "batch"]) -> None:
    # All agree on response 4. Its runner-up is 3 for five members and 2, barely, for the sixth; by the mean it is 3.
    rewards = np.tile([0.0, 0.1, 0.2, 0.9, 1.0], (6, 1))[:, None, :].repeat(12_000 if member == "prompt" else 1, axis=1)
    rewards[5, :, 2:4] = 0.5, 0.4
    if member == "prompt":
        first, second = ee_thompson(rewards, np.random.default_rng(0), clash="second_best")
    else:
        picks = [
            ee_thompson(rewards, np.random.default_rng(s), clash="second_best", member=member) for s in range(3000)
        ]
        first, second = (np.concatenate(side) for side in zip(*picks, strict=True))
    assert set(first.tolist()) == {4}
    counts = np.bincount(second, minlength=5)
    assert counts[[0, 1, 4]].sum() == 0 and chi_square(counts[2:4], np.array([1, 5]) * len(second) / 6)


def test_ee_leaves_the_rewards_as_they_were() -> None:
    rewards = np.zeros((1, 2, 3))
    ee_thompson(rewards, np.random.default_rng(0), clash="second_best")
    assert (rewards == 0).all()


def paper_ee(table: Table, rng: np.random.Generator) -> tuple[int, int]:
    """Algorithm 2, explore and exploit, as printed: draw members with replacement until the best differs."""
    first = first_max(table[rng.integers(len(table))])
    while True:
        second = first_max(table[rng.integers(len(table))])
        if second != first:
            return first, second


def test_ee_is_distributed_as_the_papers_redraw_loop() -> None:
    table = [[3.0, 1, 0, 0], [2, 1, 0, 0], [9, 1, 0, 0], [0, 5, 0, 1], [0, 7, 3, 0], [0, 0, 1, 0]]
    n = 20_000
    rng = np.random.default_rng(5)
    rewards = np.repeat(np.array(table)[:, None, :], n, axis=1)
    ours = Counter(zip(*(column.tolist() for column in ee_thompson(rewards, rng)), strict=True))
    votes = Counter(first_max(row) for row in table)
    cells = [(i, j) for i in votes for j in votes if i != j]
    exact = [votes[i] / 6 * votes[j] / (6 - votes[i]) for i, j in cells]
    loop = Counter(paper_ee(table, rng) for _ in range(5000))
    assert set(ours) == set(loop) == set(cells)
    assert chi_square([loop[cell] for cell in cells], np.array(exact) * 5000)
    assert chi_square([ours[cell] for cell in cells], np.array(exact) * n)


def test_ee_clash_takes_any_other_candidate_equally_often() -> None:
    n = 12_000
    rewards = np.zeros((3, n, 4))
    rewards[..., 2] = 1.0
    first, second = ee_thompson(rewards, np.random.default_rng(0))
    assert (first == 2).all()
    counts = np.bincount(second, minlength=4)
    assert counts[2] == 0 and chi_square(counts[[0, 1, 3]], np.full(3, n / 3))


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_uncertainty_takes_the_widest_of_all_pairs(scale: str) -> None:
    for rewards in many_rewards():
        first, second = uncertainty(rewards, np.random.default_rng(0), scale=scale)  # type: ignore[arg-type]
        for b in range(rewards.shape[1]):
            table = rewards[:, b].tolist()
            n = len(table[0])
            widest = max(spread(table, i, j, scale) for i in range(n) for j in range(n))
            assert spread(table, first[b], second[b], scale) == pytest.approx(widest, abs=1e-12)


def test_max_gap_takes_one_members_best_and_worst() -> None:
    for rewards in many_rewards():
        members = [(b + 2) % len(rewards) for b in range(rewards.shape[1])]
        first, second = max_gap(rewards, Fixed(members))
        for b in range(rewards.shape[1]):
            row = rewards[members[b], b].tolist()
            assert (first[b], second[b]) == (first_max(row), row.index(min(row)))


def test_uniform_draws_every_ordered_pair_equally_often() -> None:
    n = 24_000
    first, second = uniform(np.zeros((1, n, 4)), np.random.default_rng(0))
    counts = np.bincount(first * 4 + second, minlength=16).reshape(4, 4)
    assert (np.diag(counts) == 0).all()
    assert chi_square(counts[~np.eye(4, dtype=bool)], np.full(12, n / 12))


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_gives_columns_and_is_a_function_of_rewards_and_generator(name: str) -> None:
    for rewards in many_rewards():
        kept = rewards.copy()
        one = RULES[name](rewards, np.random.default_rng(3))
        two = RULES[name](rewards, np.random.default_rng(3))
        for a, b in zip(one, two, strict=True):
            assert np.array_equal(a, b) and a.shape == rewards.shape[1:2]
            assert np.issubdtype(a.dtype, np.integer) and (a >= 0).all() and (a < rewards.shape[-1]).all()
        assert np.array_equal(rewards, kept)


@pytest.mark.parametrize("name", ["bai", "ee", "max_gap", "uncertainty"])
def test_permuting_the_candidates_permutes_the_choice(name: str) -> None:
    rng = np.random.default_rng(9)
    for seed in range(30):
        rewards = rng.standard_normal((6, 5, 7))
        best = rewards.argmax(-1)
        if name == "ee" and (best == best[0]).all(0).any():
            continue  # a clash is settled by a draw over columns
        order = rng.permutation(7)
        plain = RULES[name](rewards, np.random.default_rng(seed))
        permuted = RULES[name](rewards[..., order], np.random.default_rng(seed))
        pairs = [set(pair) for pair in zip(*plain, strict=True)]
        assert pairs == [set(order[list(pair)]) for pair in zip(*permuted, strict=True)]
        if name != "uncertainty":  # its pair has no order: both orders have the same variance
            assert all((order[p] == q).all() for p, q in zip(permuted, plain, strict=True))


@pytest.mark.parametrize(
    ("rule", "option"),
    [(bai_thompson, "scale"), (uncertainty, "scale"), (bai_thompson, "member"), (ee_thompson, "clash")],
)
def test_a_misspelt_option_is_an_error(rule: acquisition.Rule, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be one of .* got 'prob'"):
        rule(np.zeros((2, 1, 3)), np.random.default_rng(0), **{option: "prob"})  # type: ignore[call-arg]


def chi_square(counts: object, expected: np.ndarray) -> bool:
    """Whether counts fit what is expected, at the one-in-a-million level."""
    statistic = float(((np.asarray(counts) - expected) ** 2 / expected).sum())
    return statistic < chi2.ppf(1 - 1e-6, len(expected) - 1)
