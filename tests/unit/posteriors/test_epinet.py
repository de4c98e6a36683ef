"""The epistemic network: a point head that its particles leave alone."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from duelbench.posteriors.epinet import EpinetConfig, EpinetPosterior


def _features(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32) * 2 + 1


def test_particles_leave_the_point_head_alone_and_differ_by_their_priors() -> None:
    config = EpinetConfig(members=30, hidden=6, point_hidden=5, min_pairs=2, minibatch=8)
    posterior = EpinetPosterior(4, np.random.default_rng(0), config)
    x = _features(3, 40, 4)
    before = posterior.rewards(x)
    assert before.std(0).mean() > 0.3, "without labels the priors keep them apart"
    alone = copy.deepcopy(posterior._point)
    alone.pairs.fit_scale(x)
    chosen, rejected = _features(1, 16, 4), _features(2, 16, 4)
    posterior.update(chosen, rejected, 16)
    alone._rng.random((16, 30))  # who sees the pairs is drawn before anybody learns
    alone.update(chosen, rejected, 16)
    standard = torch.from_numpy(alone.pairs.standardise(x))
    with torch.no_grad():
        assert torch.equal(posterior._point.scores(standard), alone.scores(standard))
