"""The rules of duelbench.acquisition that follow later papers, against loops in plain Python and their limit cases."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from duelbench import acquisition
from duelbench.acquisition import RULES
from duelbench.acquisition.information import _mixtures

Table = list[list[float]]  # one prompt: E samples x M candidates
SURE = ["bald", "best_worst", "delta_ucb", "infomax", "knowledge_gradient", "maxminlcb"]  # no draw decides


def many_rewards() -> Iterator[np.ndarray]:
    """Random rewards; every second array is of small integers, with many ties and candidates that are copies."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers([1, 1, 2], [6, 5, 6]))
        yield rng.integers(-1, 2, shape).astype(float) if seed % 2 else 2 * rng.standard_normal(shape)


def prompts_of(rewards: np.ndarray, columns: tuple[np.ndarray, np.ndarray]) -> Iterator[tuple[Table, int, int]]:
    for b, (first, second) in enumerate(zip(*columns, strict=True)):
        yield rewards[:, b].tolist(), int(first), int(second)


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def deviation(values: list[float]) -> float:
    return math.sqrt(mean([(v - mean(values)) ** 2 for v in values]))


def wins(table: Table, i: int, j: int) -> list[float]:
    return [1 / (1 + math.exp(row[j] - row[i])) for row in table]


def coin(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def rivals(table: Table) -> list[tuple[int, int]]:
    """Ordered pairs of candidates that some sample tells apart."""
    m = range(len(table[0]))
    return [(i, j) for i in m for j in m if any(row[i] != row[j] for row in table)]


def takes_the_best(rule: str, value: object) -> None:
    """Whether a rule's pair is worth as much as the best of all pairs by a definition in plain Python."""
    for rewards in many_rewards():
        for table, i, j in prompts_of(rewards, RULES[rule](rewards, np.random.default_rng(0))):
            pairs = rivals(table)
            if not pairs:
                assert (i, j) == (0, 0)
                continue
            assert (i, j) in pairs
            assert value(table, i, j) == pytest.approx(max(value(table, *pair) for pair in pairs), abs=1e-9)  # type: ignore[operator]


def test_infomax_takes_the_pair_of_the_most_uncertain_probability() -> None:
    takes_the_best_or_any_copy("infomax", lambda table, i, j: deviation(wins(table, i, j)))


def takes_the_best_or_any_copy(rule: str, value: object) -> None:
    for rewards in many_rewards():
        for table, i, j in prompts_of(rewards, RULES[rule](rewards, np.random.default_rng(0))):
            m = range(len(table[0]))
            assert value(table, i, j) == pytest.approx(max(value(table, a, b) for a in m for b in m), abs=1e-9)  # type: ignore[operator]


def test_bald_takes_the_most_informative_pair() -> None:
    def information(table: Table, i: int, j: int) -> float:
        """Mutual information of sample and answer, from their joint distribution."""
        joint = [[p / len(table), (1 - p) / len(table)] for p in wins(table, i, j)]
        answer = [math.fsum(row[y] for row in joint) for y in (0, 1)]
        return math.fsum(
            cell * math.log(cell * len(table) / answer[y]) for row in joint for y, cell in enumerate(row) if cell
        )

    takes_the_best("bald", information)


def test_bald_finds_nothing_in_a_fair_coin_but_infomax_may() -> None:
    """Two samples that both say P = ½ ± ½ε teach ε²/2 nats or so, two that contradict each other surely one bit."""
    sure = np.array([[9.0, 0.0], [-9.0, 0.0]])  # contradict each other
    vague = np.array([[0.1, 0.0], [-0.1, 0.0]])
    rewards = np.concatenate([sure, vague], axis=1)[:, None, :]  # candidates 0, 1 sure; 2, 3 vague
    assert set(np.ravel(RULES["bald"](rewards, np.random.default_rng(0)))) == {0, 1}


def test_knowledge_gradient_takes_the_pair_after_which_the_best_is_worth_most() -> None:
    def value(table: Table, i: int, j: int) -> float:
        total = 0.0
        for answer in (1, 0):
            likelihood = [p if answer else 1 - p for p in wins(table, i, j)]
            chance = mean(likelihood)
            weights = [w / math.fsum(likelihood) for w in likelihood]
            after = [math.fsum(w * row[m] for w, row in zip(weights, table, strict=True)) for m in range(len(table[0]))]
            total += chance * max(after)
        return total

    takes_the_best("knowledge_gradient", value)


def test_knowledge_gradient_ignores_what_can_not_become_the_best() -> None:
    """Which of 2 and 3 is better is most uncertain but says nothing of 0 and 1, one of which is the best."""
    tables = [[a, -a, b - 50.0, -b - 50.0] for a in (1.0, -1.0) for b in (3.0, -3.0)]
    rewards = np.array(tables)[:, None, :]
    assert set(np.ravel(RULES["knowledge_gradient"](rewards, np.random.default_rng(0)))) == {0, 1}
    assert set(np.ravel(RULES["uncertainty"](rewards, np.random.default_rng(0)))) == {2, 3}


def test_knowledge_gradient_takes_the_first_two_where_no_answer_matters() -> None:
    sure = np.array([[[5.0, 0.0, 0.1]], [[5.2, 0.0, 0.3]]])
    assert [int(column[0]) for column in RULES["knowledge_gradient"](sure, np.random.default_rng(0))] == [0, 1]


def centred(table: Table) -> Table:
    return [[r - mean(row) for r in row] for row in table]


def test_delta_ucb_takes_the_largest_plausible_gap() -> None:
    def gap(table: Table, i: int, j: int) -> float:
        columns = list(zip(*centred(table), strict=True))
        upper, lower = columns[i], columns[j]
        return mean(upper) + deviation(upper) - mean(lower) + deviation(lower)  # type: ignore[arg-type]

    takes_the_best("delta_ucb", gap)


def test_delta_ucb_without_width_is_best_against_worst() -> None:
    for rewards in many_rewards():
        gaps = acquisition.delta_ucb(rewards, np.random.default_rng(0), width=0.0)
        for table, i, j in prompts_of(rewards, gaps):
            means = [mean(column) for column in zip(*centred(table), strict=True)]  # type: ignore[arg-type]
            if rivals(table):
                assert means[i] == pytest.approx(max(means)) and means[j] == pytest.approx(min(means))


def test_best_worst_is_the_widest_gap_of_the_mean() -> None:
    for rewards in many_rewards():
        for table, i, j in prompts_of(rewards, RULES["best_worst"](rewards, np.random.default_rng(0))):
            means = [mean(list(column)) for column in zip(*table, strict=True)]
            assert means[i] == pytest.approx(max(means)) and means[j] == pytest.approx(min(means))


def lower_bound(table: Table, i: int, j: int) -> float:
    return mean(wins(table, i, j)) - deviation(wins(table, i, j))


def test_maxminlcb_is_the_leader_against_its_worst_rival() -> None:
    for rewards in many_rewards():
        for table, i, j in prompts_of(rewards, RULES["maxminlcb"](rewards, np.random.default_rng(0))):
            pairs = rivals(table)
            worst = {a: min(lower_bound(table, a, b) for c, b in pairs if c == a) for a, _ in pairs}
            if worst:
                assert worst[i] == pytest.approx(max(worst.values()))
                assert lower_bound(table, i, j) == pytest.approx(worst[i]) and (i, j) in pairs


def test_rucb_duels_a_possible_best_with_its_most_dangerous_rival() -> None:
    for seed, rewards in enumerate(many_rewards()):
        for table, i, j in prompts_of(rewards, RULES["rucb"](rewards, np.random.default_rng(seed))):
            pairs = rivals(table)
            if not pairs:
                continue
            upper = {pair: 1 - lower_bound(table, pair[1], pair[0]) for pair in pairs}
            m = range(len(table[0]))
            possible = [a for a in m if all(upper[a, b] >= 0.5 - 1e-12 for b in m if (a, b) in upper)]
            assert i in (possible or m)
            danger = {b: u for (b, a), u in upper.items() if a == i}
            if danger:
                assert danger[j] == pytest.approx(max(danger.values()))


def test_rucbs_first_is_uniform_over_the_possible_bests() -> None:
    table = np.array([[1.0, 0.0, -9.0], [0.0, 1.0, -9.0]])  # 0 and 1 may be the best, 2 may not
    first, second = RULES["rucb"](np.repeat(table[:, None], 4000, axis=1), np.random.default_rng(0))
    counts = Counter(zip(first.tolist(), second.tolist(), strict=True))
    assert set(counts) == {(0, 1), (1, 0)} and abs(counts[0, 1] - 2000) < 200


def ids_numbers(table: Table) -> tuple[list[tuple[int, int]], list[float], list[float]]:
    """Unordered pairs, their expected regrets and their information on which candidate is best."""
    best = [row.index(max(row)) for row in table]
    pairs = list(itertools.combinations(range(len(table[0])), 2))
    regrets = [mean([max(row) - 0.5 * (row[i] + row[j]) for row in table]) for i, j in pairs]
    gains = []
    for i, j in pairs:
        p = wins(table, i, j)
        gain = coin(mean(p))
        for a in set(best):
            given = [q for q, b in zip(p, best, strict=True) if b == a]
            gain -= len(given) / len(table) * coin(mean(given))
        gains.append(max(gain, 1e-12))
    return pairs, regrets, gains


def test_ids_draws_from_the_distribution_of_the_smallest_ratio() -> None:
    """No distribution on a fine grid over pairs of pairs, and no random one over all pairs, has a smaller ratio."""
    rng = np.random.default_rng(1)
    for seed in range(4):
        rewards = np.random.default_rng(seed).standard_normal((5, 1, 4)) * 1.5
        pairs, regrets, gains = ids_numbers(rewards[:, 0].tolist())
        drawn = RULES["ids"](np.repeat(rewards, 20_000, axis=1), np.random.default_rng(seed))
        counts = Counter(zip(*(column.tolist() for column in drawn), strict=True))
        share = np.array([counts[pair] for pair in pairs]) / 20_000
        assert (share > 0).sum() <= 2

        def ratio(weights: np.ndarray, regrets: list[float] = regrets, gains: list[float] = gains) -> float:
            return float((weights @ regrets) ** 2 / (weights @ gains))

        others = [ratio(weights) for weights in rng.dirichlet(np.full(len(pairs), 0.3), 500)]
        for one, other in itertools.permutations(np.eye(len(pairs)), 2):
            others += [ratio((1 - q) * one + q * other) for q in np.linspace(0, 1, 51)]
        assert ratio(share) <= min(others) * 1.01


def test_two_pairs_mixed_or_one_alone_have_no_better_share() -> None:
    rng = np.random.default_rng(0)
    regret, gain = rng.uniform(0.0, 2.0, (30, 4)), rng.uniform(0.001, 0.7, (30, 4)) ** 3
    share, ratio = _mixtures(regret, gain)
    mixed = 0
    for b, one in itertools.product(range(30), range(4)):
        for other in range(one, 4):
            q = np.append(np.linspace(0.0, 1.0, 201), share[b, one, other])
            ratios = ((1 - q) * regret[b, one] + q * regret[b, other]) ** 2 / (
                (1 - q) * gain[b, one] + q * gain[b, other]
            )
            assert ratio[b, one, other] == pytest.approx(ratios[-1])
            if one != other:
                found = min(ratio[b, one, other], ratio[b, one, one], ratio[b, other, other])
                assert found <= ratios.min() + 1e-9
                mixed += 0 < share[b, one, other] < 1
    assert mixed > 20


def test_ids_plays_the_best_pair_once_the_best_is_known() -> None:
    rewards = np.array([[[3.0, 2.0, 0.0]], [[4.0, 2.5, 0.0]]])
    assert [int(column[0]) for column in RULES["ids"](rewards, np.random.default_rng(0))] == [0, 1]


@pytest.mark.parametrize(("rule", "named"), [("double_ts", max), ("drts", min)])
def test_a_redrawn_second_comes_from_a_sample_that_names_another(rule: str, named: object) -> None:
    for seed, rewards in enumerate(many_rewards()):
        for table, i, j in prompts_of(rewards, RULES[rule](rewards, np.random.default_rng(seed))):
            firsts = {row.index(max(row)) for row in table}
            seconds = {row.index(named(row)) for row in table}  # type: ignore[operator]
            assert i in firsts and j != i
            if seconds - {i} and len(table) <= 3:  # so likely found within 30 tries that none here fails
                assert j in seconds


def test_redraws_end_after_their_tries() -> None:
    """One of four samples disagrees: with two tries it is found with probability 1 − (3/4)², else all are equal."""
    table = np.zeros((4, 4))
    table[:3, 0], table[3, 1] = 1.0, 1.0
    n = 40_000
    first, second = acquisition.double_thompson(np.repeat(table[:, None], n, 1), np.random.default_rng(0), tries=2)
    chosen = first == 0
    share = np.bincount(second[chosen], minlength=4) / chosen.sum()
    found = 1 - 0.75**2
    assert share == pytest.approx([0.0, found + (1 - found) / 3, (1 - found) / 3, (1 - found) / 3], abs=0.01)


def test_drts_of_one_sample_is_its_max_gap() -> None:
    rewards = np.random.default_rng(0).standard_normal((1, 9, 5))
    one, other = (RULES[name](rewards, np.random.default_rng(1)) for name in ("drts", "max_gap"))
    assert np.array_equal(one, other)


def test_boltzmann_draws_without_replacement_in_proportion_to_exponential_rewards() -> None:
    mean_reward, temperature, n = np.array([1.0, 0.0, -0.5]), 0.7, 60_000
    noise = np.array([[0.3], [-0.3]])  # a constant of the sample is no reward
    rewards = np.repeat((mean_reward + noise)[:, None], n, axis=1)
    drawn = acquisition.boltzmann(rewards, np.random.default_rng(0), temperature=temperature)
    counts = Counter(zip(*(column.tolist() for column in drawn), strict=True))
    weight = np.exp(mean_reward / temperature)
    for i, j in itertools.permutations(range(3), 2):
        expected = weight[i] / weight.sum() * weight[j] / (weight.sum() - weight[i])
        assert counts[i, j] / n == pytest.approx(expected, abs=0.01)
    assert all(i != j for i, j in counts)


def test_boltzmann_when_cold_takes_the_two_best() -> None:
    rewards = np.random.default_rng(3).standard_normal((4, 30, 6))
    first, second = acquisition.boltzmann(rewards, np.random.default_rng(0), temperature=1e-6)
    order = np.argsort(-rewards.mean(0), axis=-1)
    assert np.array_equal(first, order[:, 0]) and np.array_equal(second, order[:, 1])
    with pytest.raises(ValueError, match="temperature must be positive"):
        acquisition.boltzmann(rewards, np.random.default_rng(0), temperature=0.0)


@pytest.mark.parametrize("rule", SURE)
def test_a_copy_is_no_rival(rule: str) -> None:
    for rewards in many_rewards():
        doubled = np.concatenate([rewards, rewards], axis=-1)
        n = rewards.shape[-1]
        for table, i, j in prompts_of(doubled, RULES[rule](doubled, np.random.default_rng(0))):
            if rivals(table):
                assert i < n and j < n, "equal values go to the lowest column"
                if rule != "infomax" and rule != "best_worst":  # with certain or equal rewards they have no best pair
                    assert any(row[i] != row[j] for row in table)


@pytest.mark.parametrize("rule", [*SURE, "ids", "drts", "double_ts", "rucb"])
def test_a_constant_of_sample_and_prompt_changes_nothing(rule: str) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rewards = rng.standard_normal((5, 4, 6))
        moved = rewards + 5 * rng.standard_normal((5, 4, 1)) if rule != "best_worst" else rewards + 3.0
        one, other = (RULES[rule](r, np.random.default_rng(1)) for r in (rewards, moved))
        assert np.array_equal(np.sort(one, axis=0), np.sort(other, axis=0))


@pytest.mark.parametrize("rule", [*sorted(set(SURE) - {"knowledge_gradient"}), "drts"])
def test_permuting_the_candidates_permutes_the_pair(rule: str) -> None:
    rng = np.random.default_rng(9)
    for seed in range(20):
        rewards = rng.standard_normal((6, 5, 7))
        order = rng.permutation(7)
        plain = RULES[rule](rewards, np.random.default_rng(seed))
        permuted = RULES[rule](rewards[..., order], np.random.default_rng(seed))
        assert [set(pair) for pair in zip(*plain, strict=True)] == [
            set(order[list(pair)].tolist()) for pair in zip(*permuted, strict=True)
        ]


def test_an_unknown_rule_is_told_its_neighbour() -> None:
    with pytest.raises(ValueError, match=r"unknown rule 'delta_ubc'.*did you mean 'delta_ucb'"):
        acquisition.choose_rule("delta_ubc")
