"""A reward model that trains its backbone, and particles on top that say how sure it is.

f(x, y) = h(φ(x, y)): φ is an encoder, h a small network. Both are trained together by Bradley–Terry's likelihood on
all labels so far. Particle k scores r_k = f + g_k(φ) + β p_k(φ): p_k never learns, g_k learns by the same likelihood,
and neither φ nor f gets a gradient from it (Asghari et al. 2026, arXiv 2603.17378; randomised priors after Osband et
al. 2018, arXiv 1806.03335).

Every other posterior stands on features that stay as they are. This one reads the texts, so it needs a policy that
writes texts, and features from the policy are of no use to it (``policy.features=none`` saves their time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from duelbench.learning.optimizer_state import load_moments, moments
from duelbench.posteriors.encoders.registry import make_encoder
from duelbench.posteriors.ensemble import EnsembleConfig, forward, initial_weights
from duelbench.posteriors.pairs import accuracy
from duelbench.protocols import TrainableEncoder
from duelbench.ranges import Checked, Count, Natural, NonNegative, Positive
from duelbench.types import Metrics, Responses


@dataclass(frozen=True)
class BackboneConfig(Checked):
    """Hyper-parameters of the reward model that trains its backbone.

    Attributes:
        encoder: φ, a trainable encoder by name: ``preference``, ``preference:FOLDER`` or ``hf:MODEL``.
        lora_rank: rank of low-rank adapters that are trained in place of the weights of ``hf:MODEL``; 0 trains these.
        backbone_rate: step size of φ; 0 freezes it.
        learning_rate: step size of h and of the particles.
        weight_decay: decoupled weight decay (AdamW) of everything that learns.
        particles: K (paper: 100).
        hidden: width of both hidden layers of a particle's two networks.
        point_hidden: the same of h.
        prior_scale: β.
        steps: gradient steps a round.
        minibatch: pairs a step, drawn without replacement from all so far.
        min_pairs: no learning before there are this many.
    """

    encoder: str = "preference"
    lora_rank: Natural = 0
    backbone_rate: NonNegative = 1e-5
    learning_rate: Positive = 1e-3
    weight_decay: NonNegative = 1.0
    particles: Count = 100
    hidden: Count = 32
    point_hidden: Count = 128
    prior_scale: NonNegative = 1.0
    steps: Natural = 2
    minibatch: Count = 64
    min_pairs: Count = 32


class BackbonePosterior:
    """Reads texts; satisfies `duelbench.protocols.TextPosterior`.

    Args:
        dim: of the policy's features, which are not read.
        rng: draws the initial weights and the minibatches.
        config: hyper-parameters.

    Attributes:
        encoder: φ; nobody else's.

    Raises:
        ValueError: the encoder cannot be trained.
    """

    Config = BackboneConfig

    def __init__(self, dim: int, rng: np.random.Generator, config: BackboneConfig | None = None) -> None:
        self.config = config = config or BackboneConfig()
        options = {"lora_rank": config.lora_rank} if config.lora_rank else {}
        encoder = make_encoder(config.encoder, **options)
        if not isinstance(encoder, TrainableEncoder):
            raise ValueError(
                f"posterior backbone: the encoder {config.encoder!r} cannot be trained: take preference, "
                "preference:FOLDER or hf:MODEL, or another posterior on its features"
            )
        self.encoder, self._rng = encoder, rng
        self._backbone = {name: p for name, p in encoder.module.named_parameters() if p.requires_grad}
        head, particle = EnsembleConfig(hidden=config.point_hidden), EnsembleConfig(hidden=config.hidden)
        prior = EnsembleConfig(hidden=config.hidden, init_scale=float(np.sqrt(2.0)))  # He's, so that p_k is of order 1
        self._point = [w.requires_grad_() for w in initial_weights(encoder.dim, 1, head, rng)]
        self._trained = [w.requires_grad_() for w in initial_weights(encoder.dim, config.particles, particle, rng)]
        self._priors = initial_weights(encoder.dim, config.particles, prior, rng)
        groups: list[dict[str, Any]] = [
            {"params": list(self._backbone.values()), "lr": config.backbone_rate},
            {"params": [*self._point, *self._trained]},
        ]
        self._optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self._pairs: list[tuple[str, str, str]] = []  # prompt, chosen, rejected
        self._scale: tuple[Tensor, Tensor] | None = None  # of the features: mean and spread of the first batch

    def rewards_of(self, responses: Responses) -> NDArray[np.float32]:
        """R[e, ...]: the particles' rewards of responses of shape (B,) or (B, M): (K, B) or (K, B, M)."""
        texts = responses.actions.reshape(len(responses.prompts), -1).tolist()
        features = self.encoder.encode(responses.prompts, texts).flatten(0, 1)  # (n, D)
        if self._scale is None:
            self._scale = features.mean(0), features.std(0, correction=0) + 1e-6
        with torch.no_grad():
            seen = self._standard(features)
            rewards = self._particles(seen) + forward(self._point, seen)
        return rewards.numpy().reshape(-1, *responses.actions.shape)

    def learn_from(self, chosen: Responses, rejected: Responses, labels: int) -> Metrics:
        """Remember n duels with their preferred and dispreferred responses, (n,) each, and take ``steps`` steps."""
        # before they are learned from; no pairs must not set the scale
        metrics = accuracy(self.rewards_of(chosen), self.rewards_of(rejected)) if len(chosen) else {}
        texts = zip(chosen.prompts, chosen.actions.tolist(), rejected.actions.tolist(), strict=True)
        self._pairs += list(texts)
        if len(self._pairs) >= self.config.min_pairs:
            for _ in range(self.config.steps):
                size = min(self.config.minibatch, len(self._pairs))
                drawn = self._rng.choice(len(self._pairs), size=size, replace=False)
                metrics["posterior_loss"] = self._step([self._pairs[i] for i in drawn])
        return metrics

    def _step(self, pairs: Sequence[tuple[str, str, str]]) -> float:
        """One step on these pairs; returns the point head's loss."""
        self._optimizer.zero_grad(set_to_none=True)
        point, particles = self._losses(pairs)
        (point + particles).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return point.item()

    def _losses(self, pairs: Sequence[tuple[str, str, str]]) -> tuple[Tensor, Tensor]:
        """Negative log-likelihood of n pairs by the point head, and by the particles, which teach themselves alone."""
        prompts, chosen, rejected = zip(*pairs, strict=True)
        tokens = self.encoder.tokens(prompts, list(zip(chosen, rejected, strict=True)))
        features = self._standard(self.encoder.module(tokens).float().cpu())  # (2 n, D), in turns
        point = forward(self._point, features)  # (1, 2 n)
        rewards = self._particles(features.detach()) + point.detach()  # (K, 2 n)
        return _loss(point), _loss(rewards)

    def _particles(self, features: Tensor) -> Tensor:
        with torch.no_grad():
            prior = forward(self._priors, features)
        return forward(self._trained, features) + self.config.prior_scale * prior

    def _standard(self, features: Tensor) -> Tensor:
        assert self._scale is not None
        centre, spread = self._scale
        return (features - centre) / spread

    def state_dict(self) -> dict[str, Any]:
        """Backbone, heads, priors, optimizer, scale, pairs and random state."""
        weights = {"point": self._point, "trained": self._trained, "priors": self._priors}
        return {
            "backbone": {name: p.detach().clone() for name, p in self._backbone.items()},
            **{name: {str(i): w.detach().clone() for i, w in enumerate(tensors)} for name, tensors in weights.items()},
            "optimizer": moments(self._optimizer),
            "scale": None if self._scale is None else torch.stack(self._scale),
            "pairs": [list(pair) for pair in self._pairs],
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        weights = {"point": self._point, "trained": self._trained, "priors": self._priors}
        with torch.no_grad():
            for name, parameter in self._backbone.items():
                parameter.copy_(state["backbone"][name])
            for name, tensors in weights.items():
                for i, weight in enumerate(tensors):
                    weight.copy_(state[name][str(i)])
        load_moments(self._optimizer, state["optimizer"])
        self._scale = None if state["scale"] is None else (state["scale"][0], state["scale"][1])
        self._pairs = [(prompt, chosen, rejected) for prompt, chosen, rejected in state["pairs"]]
        self._rng.bit_generator.state = state["rng"]


def _loss(rewards: Tensor) -> Tensor:
    """Mean −log σ(r⁺ − r⁻) of rewards (K, 2 n) whose columns are a preferred and a dispreferred response in turns."""
    return -F.logsigmoid(rewards[:, 0::2] - rewards[:, 1::2]).mean()
