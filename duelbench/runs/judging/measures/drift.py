"""How far a policy has moved from where it started, told by what it would deploy."""

from __future__ import annotations

import numpy as np

from duelbench.protocols import Policy
from duelbench.types import Responses


def drift(policy: Policy, responses: Responses) -> dict[str, float]:
    """Estimates from responses (n,) that the policy sampled, each the mean over them.

    ``kl_to_start``: log π(y|x) − log π_ref(y|x), whose expectation is the KL divergence from the policy at the start;
    ``response_entropy``: −log π(y|x), whose expectation is the entropy of whole responses; both in nats.
    ``response_length``: tokens of a response, where there are any. Of an agent that deploys the best of several, they
    describe what it picked, and the first is no KL divergence.
    """
    known = policy.referenced(responses)
    log_probs, reference = known.log_probs.astype(np.float64), known.reference_log_probs.astype(np.float64)
    told = {"kl_to_start": float((log_probs - reference).mean()), "response_entropy": float(-log_probs.mean())}
    return told | ({"response_length": float(known.lengths.mean())} if policy.generated_tokens else {})
