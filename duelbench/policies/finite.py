"""Numbers of a policy that are no numbers stop a run: nothing that is sampled from them means anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class NonFiniteLogitsError(RuntimeError):
    """A policy gives NaN, or an infinite logit, in place of probabilities."""

    def __init__(self) -> None:
        super().__init__(
            "the policy's logits are not finite, so that nothing can be sampled from it: its weights, or what it "
            "observed, hold NaN or infinite numbers. If it was trained until here, lower learner.learning_rate or "
            "learner.clip; if it was not, try policy.dtype=float32 or another model"
        )


def check_log_probs(log_probs: NDArray[np.floating]) -> None:
    """Check log-probabilities, of which minus infinity is one.

    Raises:
        NonFiniteLogitsError: one of them is NaN.
    """
    if np.isnan(log_probs).any():
        raise NonFiniteLogitsError
