"""FreeText: any string that encodes to UTF-8, within length bounds."""

from __future__ import annotations

import copy
import pickle

import pytest
from gymnasium.spaces import Dict, Tuple
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from hypothesis import given
from hypothesis import strategies as st

from duelbench.envs.duel.spaces import FreeText


@given(st.text(max_size=8))
def test_every_text_within_the_bounds_belongs(text: str) -> None:
    assert text in FreeText(8)


@given(st.integers(0, 40), st.integers(0, 60), st.integers(0, 2**31))
def test_samples_belong_to_the_space(low: int, more: int, seed: int) -> None:
    space = FreeText(low + more, min_length=low, seed=seed)
    assert all(space.sample() in space for _ in range(5))


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (b"bytes", "expected a str, got bytes"),
        (None, "expected a str, got NoneType"),
        (3, "expected a str, got int"),
        (["text"], "expected a str, got list"),
        ("a", "expected 2 to 4 characters, got 1"),
        ("abcde", "expected 2 to 4 characters, got 5"),
        ("a\ud800", "lone surrogate"),
        ("\udfffb", "lone surrogate"),
    ],
)
def test_what_does_not_belong_is_told_why(x: object, reason: str) -> None:
    space = FreeText(4, min_length=2)
    assert x not in space
    assert reason in str(space.why_not(x))


def test_the_empty_string_belongs_unless_a_minimum_forbids_it() -> None:
    assert "" in FreeText(4)
    assert "" not in FreeText(4, min_length=1)


@pytest.mark.parametrize(("high", "low"), [(3, 4), (3, -1), (-1, 0)])
def test_bounds_that_make_no_sense_are_refused(high: int, low: int) -> None:
    with pytest.raises(ValueError, match="0 <= min_length <= max_length"):
        FreeText(high, min_length=low)


def test_one_seed_gives_one_sequence_of_samples() -> None:
    one, two, other = FreeText(99, seed=5), FreeText(99, seed=5), FreeText(99, seed=6)
    samples = [one.sample() for _ in range(10)]
    assert samples == [two.sample() for _ in range(10)]
    assert samples != [other.sample() for _ in range(10)]
    assert any(not text.isascii() for text in samples)


def test_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="no mask"):
        FreeText(9).sample(mask=1)  # type: ignore[arg-type]


def test_equality_is_of_bounds_and_survives_copies() -> None:
    space = FreeText(9, min_length=1, seed=0)
    assert space == copy.deepcopy(space) == pickle.loads(pickle.dumps(space)) == FreeText(9, min_length=1)
    assert space != FreeText(9) and space != FreeText(8, min_length=1) and space != "FreeText(1, 9)"
    assert repr(space) == "FreeText(1, 9)"


@given(st.lists(st.text(max_size=5), max_size=4))
def test_json_form_is_the_list_itself(texts: list[str]) -> None:
    space = FreeText(5)
    assert space.from_jsonable(space.to_jsonable(texts)) == texts


def test_it_batches_inside_composite_spaces() -> None:
    space = Dict(pair=Tuple((FreeText(9), FreeText(9))))
    items = [{"pair": ("a", "é")}, {"pair": ("", "🙂")}]
    batched = concatenate(space, items, create_empty_array(space, n=2))
    assert batched == {"pair": (("a", ""), ("é", "🙂"))}
    assert batched in batch_space(space, 2)
    assert list(iterate(batch_space(space, 2), batched)) == items
    assert not FreeText(9).is_np_flattenable
