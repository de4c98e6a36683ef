from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from duelbench.learning.learner import LearnerConfig, NonFiniteLossError, PreferenceLearner
from duelbench.learning.response_losses import ResponseLoss, xpo_bonus
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.types import Responses, concatenate


class Table:
    """A softmax over five actions, the same for every prompt; the reference is uniform."""

    feature_dim = 0

    def __init__(self) -> None:
        self.logits = nn.Parameter(torch.linspace(-1.0, 1.0, 5))
        self.told = 0

    def log_probs(self, responses: Responses) -> torch.Tensor:
        return self.logits.log_softmax(0)[torch.from_numpy(responses.actions)]

    def parameters(self) -> Iterable[nn.Parameter]:
        return [self.logits]

    def changed(self) -> None:
        self.told += 1


def responses(actions: list[int], reference: float = np.log(0.2)) -> Responses:
    n = len(actions)
    return Responses(
        prompts=("p",) * n,
        actions=np.array(actions),
        log_probs=np.zeros(n, np.float32),
        reference_log_probs=np.full(n, reference, np.float32),
        lengths=np.ones(n, np.int64),
        features=np.zeros((n, 0), np.float32),
    )


def learner(**config: Any) -> PreferenceLearner:
    return PreferenceLearner(Table(), LearnerConfig(**config))


@pytest.mark.parametrize("loss", ["dpo", "ipo", "slic", "simpo"])
def test_a_step_prefers_the_chosen(loss: str) -> None:
    ours = learner(loss=loss, learning_rate=0.05)
    before = ours.policy.logits.detach().clone()
    metrics = ours.step(responses([0, 1]), responses([3, 4]))
    moved = ours.policy.logits.detach() - before
    assert (moved[:2] > 0).all() and (moved[3:] < 0).all()
    assert metrics["accuracy"] == 0.0 and metrics["margin"] == pytest.approx(-1.5)
    assert metrics["grad_norm"] > 0 and metrics["pairs"] == 2


def test_the_loss_is_the_mean_over_all_pairs_masked_ones_included() -> None:
    only = learner().step(responses([0]), responses([3]))
    beside_identical = learner().step(responses([0, 2]), responses([3, 2]))
    beside_weightless = learner().step(responses([0, 1]), responses([3, 4]), weights=np.array([1.0, 0.0]))
    assert beside_identical["loss"] == pytest.approx(only["loss"] / 2)
    assert beside_weightless["loss"] == pytest.approx(only["loss"] / 2)
    assert beside_identical["grad_norm"] == pytest.approx(only["grad_norm"] / 2)
    assert beside_identical["pairs"] == beside_weightless["pairs"] == 1


def test_weights_scale_each_pair() -> None:
    single = [learner().step(responses([a]), responses([b]))["loss"] for a, b in ((0, 3), (1, 4))]
    both = learner().step(responses([0, 1]), responses([3, 4]), weights=np.array([0.5, 2.0]))
    assert both["loss"] == pytest.approx((0.5 * single[0] + 2.0 * single[1]) / 2)


def test_nothing_but_identical_pairs_leaves_everything_alone() -> None:
    ours = learner()
    before = ours.policy.logits.detach().clone()
    assert ours.step(responses([2]), responses([2]))["pairs"] == 0
    assert ours.steps == 0 and torch.equal(ours.policy.logits, before)


def test_the_bonus_is_added_and_lowers_reference_samples() -> None:
    plain = learner().step(responses([0, 1]), responses([3, 4]))
    table = Table()
    want = plain["loss"] + 0.5 * table.logits.log_softmax(0)[2].item()
    ours = PreferenceLearner(table, LearnerConfig(learning_rate=0.05))
    pair = (responses([0, 1]), responses([3, 4]))
    metrics = ours.step(*pair, bonus=ResponseLoss(responses([2, 2]), partial(xpo_bonus, coefficient=0.5)))
    assert metrics["loss"] == pytest.approx(want)
    strong = learner(learning_rate=0.05)
    strong.step(*pair, bonus=ResponseLoss(responses([2, 2]), partial(xpo_bonus, coefficient=100.0)))
    assert strong.policy.log_probs(responses([2])) < Table().log_probs(responses([2]))


def same_moments(one: dict[str, dict[str, torch.Tensor]], other: dict[str, dict[str, torch.Tensor]]) -> bool:
    return bool(one) and all(torch.equal(t, other[i][name]) for i, slots in one.items() for name, t in slots.items())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_non_finite_loss_stops_before_the_weights(bad: float) -> None:
    ours = learner(loss="ipo")
    ours.step(responses([0]), responses([3]))
    before, moments = ours.policy.logits.detach().clone(), ours.state_dict()["optimizer"]
    with pytest.raises(NonFiniteLossError, match=r"^the ipo loss is"):
        ours.step(responses([0, 1]), responses([3, 4], reference=bad))
    assert torch.equal(ours.policy.logits, before) and ours.steps == 1
    assert same_moments(ours.state_dict()["optimizer"], moments)


def test_a_non_finite_gradient_stops_before_the_weights() -> None:
    ours = learner()
    ours.policy.logits.register_hook(lambda gradient: gradient * float("inf"))
    before = ours.policy.logits.detach().clone()
    with pytest.raises(NonFiniteLossError, match="gradient"):
        ours.step(responses([0]), responses([3]))
    assert torch.equal(ours.policy.logits, before) and ours.steps == 0


def test_a_first_step_that_moves_nothing_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"AdamW \(lr 1e-20"):
        learner(learning_rate=1e-20).step(responses([0]), responses([3]))


def test_the_policy_is_told_of_every_step_that_moved_it() -> None:
    ours = learner()
    for _ in range(2):
        ours.step(responses([0]), responses([3]))
    ours.step(responses([1]), responses([1]))  # nothing to learn
    assert ours.policy.told == 2


def test_warmup_scales_the_first_steps() -> None:
    slow, fast = learner(learning_rate=0.08, warmup_steps=4), learner(learning_rate=0.02)
    slow.step(responses([0]), responses([3]))
    fast.step(responses([0]), responses([3]))
    assert torch.allclose(slow.policy.logits, fast.policy.logits)


@pytest.mark.parametrize(
    "config", [{"loss": "nope"}, {"loss": "slic", "label_smoothing": 0.1}, {"loss": "dpo", "length_average": True}]
)
def test_options_a_loss_does_not_take_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown loss|does not take"):
        learner(**config)


def test_every_option_reaches_its_loss() -> None:
    pair = responses([0]), responses([3])
    for config in ({"beta": 0.7}, {"label_smoothing": 0.2}):
        assert learner(**config).step(*pair)["loss"] != learner().step(*pair)["loss"]
    for loss, option in (("simpo", {"margin_ratio": 0.1}), ("ipo", {"length_average": True})):
        longer = [Responses(**{**_fields(r), "lengths": np.array([5])}) for r in pair]
        assert learner(loss=loss, **option).step(*longer)["loss"] != learner(loss=loss).step(*longer)["loss"]


def _fields(r: Responses) -> dict[str, Any]:
    return {name: getattr(r, name) for name in r.__slots__}


def test_concatenate_pads_private_arrays() -> None:
    short, long = responses([0]), responses([1, 2])
    short.payload["tokens"], long.payload["tokens"] = np.ones((1, 2), np.int64), np.ones((2, 3), np.int64)
    both = concatenate([short, long])
    assert both.payload["tokens"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 1]]
    assert both.actions.tolist() == [0, 1, 2] and both.prompts == ("p",) * 3


@pytest.fixture
def duel(llama: Path) -> tuple[CausalLMPolicy, Responses, Responses]:
    policy = CausalLMPolicy(llama, dtype="float32", max_new_tokens=8)
    drawn = policy.sample({"prompt": ["the fox", "a sad line in the rain"] * 3}, 2, np.random.default_rng(0))
    return policy, drawn.pick(np.zeros(6, np.int64)), drawn.pick(np.ones(6, np.int64))


def test_steps_on_a_language_model_raise_the_margin(duel: tuple[CausalLMPolicy, Responses, Responses]) -> None:
    policy, chosen, rejected = duel
    ours = PreferenceLearner(policy, LearnerConfig(learning_rate=1e-3))
    first, *_, last = (ours.step(chosen, rejected) for _ in range(4))
    assert abs(first["margin"]) < 1e-3 and first["loss"] == pytest.approx(np.log(2), abs=1e-3)
    assert last["margin"] > 0.1 and last["accuracy"] == 1.0 and last["loss"] < first["loss"]


def test_resumed_equals_uninterrupted_bit_for_bit(
    llama: Path, duel: tuple[CausalLMPolicy, Responses, Responses]
) -> None:
    policy, chosen, rejected = duel
    config = LearnerConfig(learning_rate=1e-3, warmup_steps=3)
    straight = PreferenceLearner(policy, config)
    for _ in range(2):
        straight.step(chosen, rejected)
    saved = policy.state_dict(), straight.state_dict()
    straight.step(chosen, rejected)
    fresh = CausalLMPolicy(llama, dtype="float32", max_new_tokens=8)
    resumed = PreferenceLearner(fresh, config)
    fresh.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    resumed.step(chosen, rejected)
    for mine, theirs in zip(policy.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert same_moments(straight.state_dict()["optimizer"], resumed.state_dict()["optimizer"])
    assert resumed.steps == straight.steps == 3
