"""The pool file of a task: as many distinct responses as were asked for, of a real model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from duelbench.experiments.pool.build import Build, sample


def test_too_few_distinct_draws_are_followed_by_more() -> None:
    asked = Build(Path(), duel_prompts=2, heldout_prompts=1, responses=6, draws=4, dim=3)
    task = sample(asked)
    assert task.references.shape == (3, 6) and task.features["lm"].shape == (3, 6, 3)
    assert all(len({*row}) == 6 and all(row) for row in task.references.tolist())
    assert task.lm_log_probs is not None and (task.lm_log_probs < 0).all()
    enough = sample(Build(Path(), duel_prompts=2, heldout_prompts=1, responses=3, draws=4, dim=3))
    np.testing.assert_array_equal(task.references[:, :2], enough.references[:, :2])  # the first draws come first


def test_a_model_that_repeats_itself_is_one_clear_error() -> None:
    with pytest.raises(ValueError, match=r"distinct responses to .* 64 are wanted: ask for fewer --responses, or a hi"):
        sample(Build(Path(), duel_prompts=1, heldout_prompts=0, responses=64, draws=2, dim=3, temperature=0.05))
