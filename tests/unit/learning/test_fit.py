"""Steps without pairs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import nn

from duelbench.learning.learner import LearnerConfig, NonFiniteLossError, PreferenceLearner
from duelbench.learning.response_losses import ResponseLoss, likelihood
from duelbench.types import Responses


class Table:
    """A softmax over five actions, the same for every prompt."""

    feature_dim = 0

    def __init__(self) -> None:
        self.logits = nn.Parameter(torch.linspace(-1.0, 1.0, 5))

    def log_probs(self, responses: Responses) -> torch.Tensor:
        return self.logits.log_softmax(0)[torch.from_numpy(responses.actions)]

    def parameters(self) -> Iterable[nn.Parameter]:
        return [self.logits]

    def changed(self) -> None:
        pass


def responses(actions: list[int]) -> Responses:
    n = len(actions)
    return Responses(
        prompts=("p",) * n,
        actions=np.array(actions),
        log_probs=np.zeros(n, np.float32),
        reference_log_probs=np.zeros(n, np.float32),
        lengths=np.ones(n, np.int64),
        features=np.zeros((n, 0), np.float32),
    )


def test_supervised_steps_end_at_the_shares_of_the_data() -> None:
    ours = PreferenceLearner(Table(), LearnerConfig(learning_rate=0.05))
    data = ResponseLoss(responses([0, 0, 0, 1]), likelihood)
    first = ours.fit(data)
    assert first["loss"] == pytest.approx(-np.mean([Table().logits.log_softmax(0)[a].item() for a in (0, 0, 0, 1)]))
    for _ in range(400):
        last = ours.fit(data)
    assert last["loss"] < first["loss"] and ours.steps == 401
    np.testing.assert_allclose(ours.policy.logits.detach().softmax(0)[:2], [0.75, 0.25], atol=0.02)


def test_micro_batches_add_up() -> None:
    whole, parts = (PreferenceLearner(Table(), LearnerConfig(learning_rate=0.05, micro_batch=m)) for m in (0, 2))
    results = [ours.fit(ResponseLoss(responses([0, 1, 1, 4, 2]), likelihood)) for ours in (whole, parts)]
    assert results[0] == pytest.approx(results[1])
    assert torch.allclose(whole.policy.logits, parts.policy.logits)


def test_a_non_finite_loss_leaves_the_weights() -> None:
    ours = PreferenceLearner(Table(), LearnerConfig())
    before = ours.policy.logits.detach().clone()
    with pytest.raises(NonFiniteLossError):
        ours.fit(ResponseLoss(responses([0]), lambda batch: batch.log_probs * float("nan")))
    assert torch.equal(ours.policy.logits, before) and not ours.steps


@pytest.mark.parametrize(("config", "beta"), [({}, 0.1), ({"loss": "slic"}, 0.2), ({"beta": 0.7}, 0.7)])
def test_beta_is_the_losss_own_unless_it_is_set(config: dict[str, float], beta: float) -> None:
    assert PreferenceLearner(Table(), LearnerConfig(**config)).beta == beta
