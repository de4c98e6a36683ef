"""Preference matrices: the stored ones, the families, and files."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from duelbench.duels import tournament
from duelbench.envs.arms import matrices

SIZES = {
    "bt10": 10,
    "arxiv6": 6,
    "arithmetic8": 8,
    "cyclic4": 4,
    "mslr5": 5,
    "sushi16": 16,
    "tennis8": 8,
    "hudry13": 13,
}
WITHOUT_CONDORCET = {"tennis8", "hudry13"}
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", sorted(SIZES))
def test_a_named_matrix_is_valid_and_its_difficulty_line_is_true(name: str) -> None:
    matrix = matrices.named_matrix(name)
    np.testing.assert_array_equal(tournament.check_preferences(matrix), matrix)
    assert matrix.shape == (SIZES[name],) * 2
    difficulty = matrices.NAMED[name].difficulty
    assert "\n" not in difficulty + matrices.NAMED[name].source
    if name in WITHOUT_CONDORCET:
        assert tournament.condorcet_winner(matrix) is None and difficulty.startswith("No Condorcet winner")
        return
    assert tournament.condorcet_winner(matrix) == 0
    stated = re.match(r"Condorcet winner 0, smallest gap ([\d.]+\d) \(over (?:arm (\d+)|every arm)\)", difficulty)
    assert stated is not None
    gaps = matrix[0, 1:] - 0.5
    assert round(gaps.min(), 3) == float(stated[1])
    assert stated[2] is None or gaps.argmin() + 1 == int(stated[2])


def test_the_named_matrices_are_these_and_cannot_be_changed() -> None:
    assert set(matrices.NAMED) == set(SIZES)
    with pytest.raises(ValueError, match="read-only"):
        matrices.NAMED["bt10"].preferences[0, 1] = 0.0
    matrices.named_matrix("bt10")[0, 1] = 0.0
    assert matrices.named_matrix("bt10")[0, 1] == 0.5621765


def test_named_matrices_that_have_a_formula_follow_it() -> None:
    np.testing.assert_allclose(matrices.named_matrix("bt10"), matrices.bradley_terry(-np.arange(10) / 4), atol=1e-8)
    ranks = np.arange(8)
    np.testing.assert_allclose(matrices.named_matrix("arithmetic8"), 0.5 + 0.05 * (ranks - ranks[:, None]))
    cyclic = matrices.named_matrix("cyclic4")
    assert (cyclic[0, 1:] == 0.6).all() and cyclic[1, 2] == cyclic[2, 3] == 0.9
    assert cyclic[3, 1] == pytest.approx(0.9)


def test_single_entries_of_the_measured_matrices() -> None:
    assert matrices.named_matrix("arxiv6")[[0, 2, 3, 4], [3, 4, 5, 5]].tolist() == [0.54, 0.51, 0.5, 0.51]
    assert matrices.named_matrix("mslr5")[[0, 3], [1, 4]].tolist() == [0.53519466, 0.50999465]
    assert matrices.named_matrix("sushi16")[[0, 14], [1, 15]].tolist() == [0.512, 0.586]


def test_the_tennis_matrix_has_two_copeland_winners() -> None:
    tennis = matrices.named_matrix("tennis8")
    assert tournament.copeland_winners(tennis).tolist() == [0, 6]
    assert tournament.copeland_scores(tennis).max() == 6 / 7
    assert tennis[0, 1] == 0.47 and tennis[0, 6] == 0.55 and tennis[5, 7] == 0.0 and tennis[6, 7] == 0.52


def test_the_copeland_winner_of_the_hudry_tournament_is_not_in_the_von_neumann_winner() -> None:
    hudry = matrices.named_matrix("hudry13")
    assert tournament.copeland_winners(hudry).tolist() == [0]
    np.testing.assert_allclose(hudry[0, 1:4], 0.1)
    assert (hudry[0, 4:] == 0.6).all()
    np.testing.assert_allclose(np.minimum(hudry, hudry.T)[1:, 1:][~np.eye(12, dtype=bool)], 0.1)
    # Beaten arms, by arm: each of the three big cycles has a leader that loses to one block of three.
    beaten = [np.flatnonzero(row > 0.5).tolist() for row in hudry]
    assert beaten[1] == [0, 2, *range(7, 13)]
    assert beaten[2] == [0, 3, 4, 5, 6, 10, 11, 12]
    assert beaten[3] == [0, 1, *range(4, 10)]
    assert beaten[4] == [1, 5, 6, 7, 8, 9] and beaten[7] == [2, 8, 9, 10, 11, 12] and beaten[10] == [3, 4, 5, 6, 11, 12]
    np.testing.assert_allclose(tournament.von_neumann_winner(hudry)[:4], [0, 1 / 3, 1 / 3, 1 / 3], atol=1e-7)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"unknown preference matrix 'sushi': .*'arxiv6'.*did you mean 'sushi16'\?"):
        matrices.named_matrix("sushi")


def test_a_file_is_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("\ufeff0.5, 0.7\n\n0.3,0.5\n", encoding="utf-8")
    assert matrices.load_csv(path).tolist() == [[0.5, 0.7], [1 - 0.7, 0.5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n0.5,0.7\n", "line 1, column 1: expected a number, got 'a': write decimals with a point"),
        (b"0.5,0.7\n0.3,\n", "line 2, column 2: expected a number, got ''"),
        (b"0.5,0.7\n\n0.3\n", "expected 2 numbers on line 3 as on the first, got 1: give every line"),
        (b"0.5,0.7\n0.4,0.5\n", "expected P[i, j] + P[j, i] = 1, got P[0, 1] = 0.7 and P[1, 0] = 0.4"),
        (b"", "expected a square matrix of at least 2 arms, got shape (0,)"),
        (b"\xff\xfe0", "expected a readable text file of probabilities, got 'utf-8' codec"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(tournament.PreferenceMatrixError, match=re.escape(f"{path}: {message}")):
        matrices.load_csv(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(tournament.PreferenceMatrixError, match=r"none\.csv: expected a readable text file"):
        matrices.load_csv(tmp_path / "none.csv")


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=8))
def test_bradley_terry_depends_on_differences_of_utility(utilities: list[float]) -> None:
    matrix = matrices.bradley_terry(utilities)
    for i, j in itertools.product(range(len(utilities)), repeat=2):
        assert matrix[i, j] == pytest.approx(expit(utilities[i] - utilities[j]), abs=1e-12)


@pytest.mark.parametrize("utilities", [[1.0], [[0.0, 1.0]], [0.0, np.inf], [0.0, np.nan], 3.0])
def test_utilities_have_to_be_a_finite_vector(utilities: object) -> None:
    with pytest.raises(ValueError, match=r"expected at least two finite utilities in a vector, got .*give one number"):
        matrices.bradley_terry(utilities)  # type: ignore[arg-type]


@settings(deadline=None)
@given(seeds, st.integers(2, 9), st.floats(0.001, 0.5))
def test_every_triple_of_the_sst_family_is_strongly_transitive(seed: int, arms: int, gap: float) -> None:
    matrix = matrices.random_sst(np.random.default_rng(seed), arms, gap=gap)
    for i, j, k in itertools.combinations(range(arms), 3):
        assert matrix[i, k] >= max(matrix[i, j], matrix[j, k])
    assert (matrix[np.triu_indices(arms, 1)] >= 0.5 + gap - 1e-12).all()


def test_the_sst_family_is_wider_than_bradley_terry() -> None:
    # Under Bradley–Terry the log odds add up along a chain.
    matrix = matrices.random_sst(np.random.default_rng(1), 3, gap=0.1)
    odds = np.log(matrix / (1 - matrix))
    assert abs(odds[0, 2] - odds[0, 1] - odds[1, 2]) > 0.1


@settings(deadline=None)
@given(seeds, st.integers(2, 9), st.floats(0.001, 0.5))
def test_the_condorcet_family_has_a_winner_by_the_gap(seed: int, arms: int, gap: float) -> None:
    matrix = matrices.random_condorcet(np.random.default_rng(seed), arms, gap=gap)
    winner = tournament.condorcet_winner(matrix)
    assert winner is not None
    assert (np.delete(matrix[winner], winner) >= 0.5 + gap - 1e-12).all()


def test_the_winner_of_the_condorcet_family_may_be_any_arm_and_the_rest_may_cycle() -> None:
    drawn = [matrices.random_condorcet(np.random.default_rng(seed), 4) for seed in range(60)]
    assert {tournament.condorcet_winner(matrix) for matrix in drawn} == {0, 1, 2, 3}
    rests = [np.delete(np.delete(m, w, 0), w, 1) for m in drawn if (w := tournament.condorcet_winner(m)) is not None]
    cyclic = [tournament.condorcet_winner(rest) is None for rest in rests]
    assert 0 < sum(cyclic) < len(cyclic)


@pytest.mark.parametrize("arms", [2, 3, 10])
def test_urvoy_leaves_the_winner_a_gap_of_one_over_k(arms: int) -> None:
    matrix = matrices.urvoy(arms)
    for i, j in itertools.combinations(range(1, arms + 1), 2):
        assert matrix[i - 1, j - 1] == pytest.approx(0.5 + j / (2 * arms))
    assert tournament.condorcet_winner(matrix) == 0
    assert matrix[0, 1:].min() - 0.5 == pytest.approx(1 / arms) and matrix[0, -1] == 1.0


@pytest.mark.parametrize("phi", [0.05, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("arms", [2, 4, 5])
def test_mallows_is_the_sum_over_all_rankings(arms: int, phi: float) -> None:
    counted, total = np.zeros((arms, arms)), 0.0
    for ranking in itertools.permutations(range(arms)):
        place = {arm: at for at, arm in enumerate(ranking)}
        pairs = list(itertools.permutations(range(arms), 2))
        chance = phi ** sum(place[i] > place[j] for i, j in pairs if i < j)
        total += chance
        for i, j in pairs:
            counted[i, j] += chance * (place[i] < place[j])
    np.testing.assert_allclose(matrices.mallows(arms, phi), counted / total + 0.5 * np.eye(arms), atol=1e-12)


@given(st.integers(2, 30), st.floats(0.01, 0.95))
def test_mallows_is_the_closed_form(arms: int, phi: float) -> None:
    k = np.arange(1, arms)
    expected = (k + 1) / (1 - phi ** (k + 1)) - k / (1 - phi**k)
    np.testing.assert_allclose(matrices.mallows(arms, phi)[0, 1:], expected, atol=1e-9)


def test_mallows_near_its_ends() -> None:
    assert matrices.mallows(19, 0.10350009399740416)[0, 18] == 1.0  # rounding once made it more
    even = matrices.mallows(6, 1 - 1e-14)
    np.testing.assert_allclose(even, 0.5, atol=1e-12)
    np.testing.assert_allclose(matrices.mallows(6, 1e-12)[np.triu_indices(6, 1)], 1.0, atol=1e-11)


@pytest.mark.parametrize("name", sorted(matrices.FAMILIES))
def test_a_family_is_valid_and_repeats_under_its_seed(name: str) -> None:
    family = matrices.FAMILIES[name]
    for arms in (2, 3, 8):
        matrix = family(np.random.default_rng(5), arms)
        assert matrix.shape == (arms, arms)
        np.testing.assert_array_equal(tournament.check_preferences(matrix), matrix)
        np.testing.assert_array_equal(family(np.random.default_rng(5), arms), matrix)


def test_the_families_are_these_and_take_their_options() -> None:
    rng = np.random.default_rng(0)
    assert set(matrices.FAMILIES) == {"bt", "sst", "mallows", "urvoy", "condorcet", "bernoulli", "gaussian"}
    assert abs(matrices.FAMILIES["bt"](rng, 5, scale=1e-9) - 0.5).max() < 1e-6
    assert matrices.FAMILIES["sst"](rng, 5, gap=0.5)[0, 1] == 1.0
    assert tournament.condorcet_winner(matrices.FAMILIES["condorcet"](rng, 5, gap=0.5)) is not None
    np.testing.assert_array_equal(matrices.FAMILIES["mallows"](rng, 5, phi=0.3), matrices.mallows(5, 0.3))
    np.testing.assert_array_equal(matrices.FAMILIES["urvoy"](rng, 5), matrices.urvoy(5))


@pytest.mark.parametrize(
    ("name", "arms", "options", "message"),
    [
        *[(name, 1, {}, "expected at least 2 arms to compare, got 1") for name in matrices.FAMILIES],
        ("bt", 3, {"scale": 0.0}, "expected a positive finite scale of the utilities, got 0.0"),
        ("bt", 3, {"scale": np.inf}, "got inf"),
        ("sst", 3, {"gap": 0.0}, "expected a gap in (0, 0.5], got 0.0"),
        ("condorcet", 3, {"gap": 0.6}, "expected a gap in (0, 0.5], got 0.6"),
        ("condorcet", 3, {"gap": np.nan}, "got nan"),
        ("mallows", 3, {"phi": 1.0}, "expected a dispersion phi strictly between 0 and 1, got 1.0"),
        ("mallows", 3, {"phi": 0.0}, "got 0.0"),
    ],
)
def test_a_family_says_which_option_it_cannot_use(
    name: str, arms: int, options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        matrices.FAMILIES[name](np.random.default_rng(0), arms, **options)
