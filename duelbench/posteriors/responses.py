"""What a posterior thinks of responses and learns from them, by their features or by the texts themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from duelbench.protocols import Posterior, TextPosterior
from duelbench.types import Metrics, Responses


def rewards_of(posterior: Posterior | TextPosterior, responses: Responses) -> NDArray[np.float32]:
    """R[e, ...]: rewards of responses of shape S by each posterior sample, (E, S)."""
    if isinstance(posterior, TextPosterior):
        return posterior.rewards_of(responses)
    return posterior.rewards(responses.features)


def learn_from(posterior: Posterior | TextPosterior, chosen: Responses, rejected: Responses, labels: int) -> Metrics:
    """Have it learn from n preferred and n dispreferred responses, (n,); ``labels`` answers seen in all."""
    if isinstance(posterior, TextPosterior):
        return posterior.learn_from(chosen, rejected, labels)
    return posterior.update(chosen.features, rejected.features, labels)
