"""Our losses beside TRL's own code on the same tensors: values and gradients.

TRL computes its losses inside methods of its trainers. They are called here with a stand-in for the trainer that hands
over given log-probabilities, so that everything from those to the loss is TRL's.
"""

from __future__ import annotations

import os
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from duelbench.learning.batches import PairBatch
from duelbench.learning.pair_losses import dpo, ipo, slic

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
pytestmark = pytest.mark.filterwarnings("ignore")  # of a package whose warnings are not ours
pytest.importorskip("trl", minversion="1.16")

PAIRS, TOKENS = 6, 9
FIRST_WINS = torch.tensor([True, False, True, True, False, False])


def per_token(seed: int) -> Tensor:
    """Log-probabilities of the tokens of twice PAIRS responses, (2 n, T)."""
    return -3.0 * torch.rand(2 * PAIRS, TOKENS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask() -> Tensor:
    """Which tokens exist: responses of 1 to T tokens, (2 n, T)."""
    lengths = torch.randint(1, TOKENS + 1, (2 * PAIRS, 1), generator=torch.Generator().manual_seed(2))
    return (torch.arange(TOKENS) < lengths).long()


def accelerator() -> SimpleNamespace:
    return SimpleNamespace(
        gather_for_metrics=lambda x: x, gather=lambda x: x, backward=Tensor.backward, device=torch.device("cpu")
    )


def ours(loss: Any, policy: Tensor, reference: Tensor, chosen: Tensor, rejected: Tensor, **options: Any) -> Tensor:
    """Mean loss of the pairs; ``chosen`` and ``rejected`` index the rows of (2 n, T)."""
    sums, reference_sums = (policy * mask()).sum(1), (reference * mask()).sum(1)
    one = torch.ones(len(chosen))
    lengths = options.pop("lengths", (one, one))
    pairs = PairBatch(sums[chosen], sums[rejected], reference_sums[chosen], reference_sums[rejected], *lengths)
    return loss(pairs, **options).mean()


def online(loss_type: str, beta: float, policy: Tensor, reference: Tensor) -> Tensor:
    """One training step of OnlineDPOTrainer; the gradient is left at ``policy``."""
    from trl.experimental.online_dpo import OnlineDPOTrainer

    reference_model = object()
    trainer = SimpleNamespace(
        args=SimpleNamespace(
            use_vllm=False,
            missing_eos_penalty=None,
            loss_type=loss_type,
            torch_empty_cache_steps=None,
            optim="adamw",
            n_gpu=0,
            gradient_accumulation_steps=1,
        ),
        eos_token_ids=[0],
        ref_model=reference_model,
        beta=beta,
        accelerator=accelerator(),
        reward_funcs=[None],
        stats=defaultdict(list),
        processing_class=SimpleNamespace(batch_decode=lambda ids, **_: [""] * len(ids)),
        _generate=lambda model, prompts, images: (None, None, torch.ones_like(mask()), mask(), None),
        _forward=lambda model, *_: reference if model is reference_model else policy,
        _calculate_rewards_from_functions=lambda **_: torch.cat([FIRST_WINS.double(), 1.0 - FIRST_WINS.double()]),
    )
    model = SimpleNamespace(train=lambda: None)
    return OnlineDPOTrainer.training_step(trainer, model, {"prompt": [""] * PAIRS})


def offline(loss_type: str, beta: float, policy: Tensor, reference: Tensor) -> Tensor:
    """The loss of DPOTrainer for rows whose first half is chosen."""
    from trl import DPOTrainer

    shown = {"log_probs": policy * mask(), "entropy": policy, "mean_logits": policy, "is_top1": policy > 0}
    chosen, rejected = (reference * mask()).sum(1).chunk(2)
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=accelerator(),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=[loss_type],
        loss_weights=[1.0],
        beta=beta,
        use_weighting=False,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
    )
    completion = torch.nn.functional.pad(mask(), (1, 0))  # after a prompt of one token
    inputs = {
        "input_ids": completion,
        "attention_mask": completion,
        "completion_mask": completion,
        "ref_chosen_logps": chosen,
        "ref_rejected_logps": rejected,
    }
    return DPOTrainer._compute_loss(trainer, lambda **_: SimpleNamespace(**shown), inputs, return_outputs=False)


@pytest.mark.parametrize(("name", "loss", "beta"), [("sigmoid", dpo, 0.1), ("sigmoid", dpo, 0.7), ("ipo", ipo, 0.2)])
def test_online_losses_and_gradients_are_those_of_online_dpo(name: str, loss: Any, beta: float) -> None:
    theirs, mine = per_token(0).requires_grad_(), per_token(0).requires_grad_()
    want = online(name, beta, theirs, per_token(1))
    first, second = torch.arange(PAIRS), torch.arange(PAIRS) + PAIRS
    chosen, rejected = torch.where(FIRST_WINS, first, second), torch.where(FIRST_WINS, second, first)
    got = ours(loss, mine, per_token(1), chosen, rejected, beta=beta)
    got.backward()
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize(("name", "loss", "beta"), [("sigmoid", dpo, 0.1), ("hinge", slic, 0.2), ("ipo", ipo, 0.3)])
def test_offline_losses_and_gradients_are_those_of_dpo_trainer(name: str, loss: Any, beta: float) -> None:
    theirs, mine = per_token(3).requires_grad_(), per_token(3).requires_grad_()
    want = offline(name, beta, theirs, per_token(4))
    want.backward()
    lengths = mask().sum(1)
    options: dict[str, Any] = {}
    if name == "ipo":  # there TRL averages over the tokens of a response
        options = {"length_average": True, "lengths": (lengths[:PAIRS], lengths[PAIRS:])}
    chosen, rejected = torch.arange(PAIRS), torch.arange(PAIRS) + PAIRS
    got = ours(loss, mine, per_token(4), chosen, rejected, beta=beta, **options)
    got.backward()
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(mine.grad, theirs.grad)
