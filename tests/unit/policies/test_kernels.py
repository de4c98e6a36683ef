"""Hand-written backward passes in bfloat16 beside the exact gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import log_softmax

from duelbench.policies.networks.llama.kernels import TokenLogProb


@pytest.mark.parametrize("lead", [0.0, 2.0, 5.0, 9.0])
def test_the_gradient_of_a_likely_token_is_right_in_bfloat16(lead: float) -> None:
    logits = torch.randn(64, 300, generator=torch.Generator().manual_seed(0))
    tokens = torch.arange(64)
    logits[torch.arange(64), tokens] = logits.amax(1) + lead
    rough, exact = logits.bfloat16().requires_grad_(), logits.bfloat16().double().requires_grad_()
    TokenLogProb.apply(rough, tokens).sum().backward()
    log_softmax(exact, -1).gather(1, tokens[:, None]).sum().backward()
    assert rough.grad is not None and exact.grad is not None
    torch.testing.assert_close(rough.grad.double(), exact.grad, rtol=2**-8, atol=0.0)
