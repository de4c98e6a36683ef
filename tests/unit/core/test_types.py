"""The plain data: picking, ranking and de-duplicating, each against a loop over rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from duelbench.types import Pair, Responses, Verdict

ARRAYS = ("actions", "log_probs", "reference_log_probs", "lengths", "features")


def responses(seed: int, *shape: int, text: bool = True) -> Responses:
    """Random responses of a shape; every array has different numbers. The prompts and context are always the same."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(3, size=shape)
    actions = np.empty(shape, dtype=object)
    for at in np.ndindex(*shape):
        actions[at] = f"text {numbers[at]}"
    return Responses(
        prompts=tuple(f"prompt {b}" for b in range(shape[0])),
        actions=actions if text else numbers,
        log_probs=rng.random(shape, np.float32),
        reference_log_probs=rng.random(shape, np.float32),
        lengths=rng.integers(9, size=shape),
        features=rng.random((*shape, 4), np.float32),
        context={"pool": np.arange(shape[0] * 6).reshape(shape[0], 3, 2)},
        payload={"tokens": rng.integers(99, size=(*shape, 5))},
    )


def parts(of: Responses) -> dict[str, NDArray[np.generic]]:
    """Every array that leads with the shape of the responses."""
    return {name: getattr(of, name) for name in ARRAYS} | of.payload


@pytest.mark.parametrize("text", [True, False])
def test_pick_takes_one_candidate_of_every_prompt(text: bool) -> None:
    candidates = responses(0, 6, 4, text=text)
    columns = np.array([3, 0, 1, 1, 2, 0])
    picked = candidates.pick(columns)
    for name, array in parts(picked).items():
        assert len(array) == 6
        for b in range(6):
            assert np.array_equal(array[b], parts(candidates)[name][b, columns[b]]), name
    assert picked.prompts == candidates.prompts
    assert picked.context is candidates.context


@pytest.mark.parametrize("index", [[2, 0, 2], [], [True, False, True, True], slice(1, 3)])
@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_rows_takes_prompts_in_the_order_asked(index: list[int], shape: tuple[int, ...]) -> None:
    everything = responses(1, *shape)
    chosen = np.array(index, dtype=int) if index == [] else index if isinstance(index, slice) else np.array(index)
    wanted = list(range(4))[index] if isinstance(index, slice) else np.arange(4)[chosen].tolist()
    taken = everything.rows(chosen)
    assert taken.prompts == tuple(everything.prompts[b] for b in wanted)
    assert len(taken) == len(wanted)
    for name, array in (parts(taken) | taken.context).items():
        whole = (parts(everything) | everything.context)[name]
        assert array.shape == (len(wanted), *whole.shape[1:])
        for k, b in enumerate(wanted):
            assert np.array_equal(array[k], whole[b]), name


@pytest.mark.parametrize("text", [True, False])
def test_where_takes_whole_rows_of_one_or_the_other(text: bool) -> None:
    one, other = responses(2, 5, text=text), responses(3, 5, text=text)
    take = np.array([True, False, False, True, False])
    mixed = Responses.where(take, one, other)
    for name, array in parts(mixed).items():
        assert array.dtype == parts(one)[name].dtype
        for b in range(5):
            assert np.array_equal(array[b], parts(one if take[b] else other)[name][b]), name
    assert mixed.prompts == one.prompts


def test_ranked_puts_the_winner_first() -> None:
    pair = Pair.of(responses(4, 5), responses(5, 5))
    first_wins = np.array([True, True, False, False, True])
    chosen, rejected = pair.ranked(first_wins)
    for b, wins in enumerate(first_wins):
        winner, loser = (pair.first, pair.second) if wins else (pair.second, pair.first)
        for name in parts(chosen):
            assert np.array_equal(parts(chosen)[name][b], parts(winner)[name][b])
            assert np.array_equal(parts(rejected)[name][b], parts(loser)[name][b])


def test_rows_of_a_pair_keep_who_is_asked() -> None:
    payload = {"extra": responses(8, 4), "gap": np.arange(4.0)}
    pair = Pair(responses(6, 4), responses(7, 4), np.array([True, False, True, False]), payload)
    taken = pair.rows(np.array([3, 0]))
    assert taken.ask.tolist() == [False, True]
    assert taken.payload["gap"].tolist() == [3.0, 0.0]
    assert taken.payload["extra"].actions.tolist() == payload["extra"].actions[[3, 0]].tolist()
    assert taken.first.actions.tolist() == pair.first.actions[[3, 0]].tolist()
    assert taken.second.actions.tolist() == pair.second.actions[[3, 0]].tolist()
    assert Pair.of(pair.first, pair.second).ask.all() and len(pair) == 4


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=4), st.booleans())
def test_canonical_is_the_first_column_with_the_same_action(table: list[list[int]], text: bool) -> None:
    candidates = responses(8, len(table), 5)
    actions = np.array(table).astype(str).astype(object) if text else np.array(table)
    object.__setattr__(candidates, "actions", actions)
    expected = [[row.index(action) for action in row] for row in table]
    assert candidates.canonical.tolist() == expected


@pytest.mark.parametrize("text", [True, False])
def test_identical_compares_actions_only(text: bool) -> None:
    first, second = responses(9, 40, text=text), responses(10, 40, text=text)
    expected = [a == b for a, b in zip(first.actions, second.actions, strict=True)]
    assert Pair.of(first, second).identical.tolist() == expected
    assert any(expected) and not all(expected)


def test_a_verdict_without_an_answer_is_no_number() -> None:
    assert [v.reward for v in (Verdict.FIRST, Verdict.SECOND, Verdict.TIE)] == [1.0, 0.0, 0.5]
    assert np.isnan(Verdict.INVALID.reward) and np.isnan(Verdict.SKIPPED.reward)
