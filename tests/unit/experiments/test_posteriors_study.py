"""The study of posteriors: its scores by hand, its duels by the reader's own probabilities."""

from __future__ import annotations

import numpy as np

from duelbench.experiments.posteriors.study import SCORES, Duels, World, bound_error, scores, told
from duelbench.oracles import make_oracle

WORLD = World("reader-easy", "preference", {"evidence": 1})


def test_bound_error_by_hand() -> None:
    """Two certain posteriors say 0.65; the truth is 0.85 for one duel and 0.45 for the other."""
    wins = np.full((3, 2), 0.65)
    # upper bounds 0.65 (twice) and, the other way round, 0.35 (twice); mean truths 0.65 and 0.35: none is exceeded
    assert np.isclose(bound_error(wins, np.array([0.85, 0.45])), 0.0)
    # truths 0.85 and 0.75 exceed 0.65 by 0.15 on average, in half of the four; the other way round none does
    assert np.isclose(bound_error(wins, np.array([0.85, 0.75])), 0.5 * 0.15)
    doubtful = wins + np.array([[-0.1], [0.0], [0.1]])
    assert bound_error(doubtful, np.array([0.85, 0.75])) == 0.0, "a bound that is wide enough is not exceeded"


def test_the_truth_itself_scores_best() -> None:
    chance, doubt = np.random.default_rng(0).uniform(0.01, 0.99, (2, 500))
    found = told(chance + np.array([[-0.01], [0.0101]]) * doubt, chance)
    assert set(found) == set(SCORES)
    assert found["accuracy"] > 0.99 and found["covered"] == 1.0 and found["bound_error"] == 0.0
    assert np.isclose(found["log_loss"], found["floor"], rtol=1e-4)


def test_duels_are_of_two_texts_of_the_right_prompts() -> None:
    duels = Duels(WORLD, 0)
    split = duels.task.n_duel
    for held_out, known in ((False, duels.task.prompts[:split]), (True, duels.task.prompts[split:])):
        first, second, chance = duels.draw(40, held_out=held_out)
        assert set(first.prompts) <= set(known) and first.prompts == second.prompts
        assert (first.actions != second.actions).all()
        again = make_oracle("reader-easy").preference(first.prompts, first.actions.tolist(), second.actions.tolist())
        assert np.array_equal(chance, again)


def test_labels_teach() -> None:
    rows = list(scores(WORLD, "evidence", 1000))
    assert [row["labels"] for row in rows] == [64, 128, 256, 512, 1024]
    assert rows[-1]["accuracy"] > rows[0]["accuracy"] + 0.1
    assert rows[-1]["log_loss"] < rows[0]["log_loss"] < np.log(2.0)
