"""Teach the encoder: many readers with random tastes, one set of features under all of them.

python -m duelbench.experiments.preference_encoder.train --texts FOLDER --out FOLDER

Goes on from its last checkpoint. The loss of a prompt's responses i, j and reader k is the cross-entropy of
σ(w_k·(φ_i − φ_j)) against σ(1.5 (u_ki − u_kj)), with u_k the reader's utility at unit spread within a prompt.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForCausalLM, AutoTokenizer

from duelbench.assets.model_source import resolve_model
from duelbench.experiments.pool.describe import explained
from duelbench.experiments.preference_encoder.attributes import attributes, random_tastes
from duelbench.experiments.preference_encoder.sample import load_texts
from duelbench.policies.networks.network import TokenBatch
from duelbench.policies.tokens import Tokens
from duelbench.posteriors.encoders.preference import PreferenceNetwork
from duelbench.streams import Streams

VALIDATION = 128
"""Prompts at the end of the texts that are not learned from."""
_SHARPNESS = 1.5
_CLIP = 4.0  # standardised attributes are cut here: a rare flaw would outweigh all else
_HEATED = 2  # of a prompt's responses, how many are exchanged for those of other prompts
_SAVE_EVERY, _LOOK_EVERY = 50, 300


@dataclass
class Train:
    """Options of training."""

    texts: Path
    """Folder of the shards."""
    out: Path
    """Folder of checkpoints, and of the encoder at the end."""
    model: str = "tiny"
    """Language model to begin with."""
    layers: int = 2
    """Of its layers, how many are kept."""
    dim: int = 64
    """D, of the features."""
    readers: int = 256
    """Training readers."""
    prompts_a_step: int = 16
    """Prompts a step."""
    steps: int = 2400
    """Of training; the step size falls to 0 by then."""
    learning_rate: float = 6e-4
    """Of the backbone; five times that for the projection, sixteen times for the readers' heads."""
    without: tuple[str, ...] = ()
    """Attributes that no training reader weighs."""
    dtype: str = "bfloat16"
    """Of matrix products."""
    seed: int = 0
    """Of tastes, order and initial weights."""


@dataclass
class Texts:
    """Prompts with M responses each, and what readers notice of them."""

    prompts: list[str]
    responses: NDArray[Any]  # (P, M)
    attributes: NDArray[np.float32]  # (P, M, A)

    @classmethod
    def of(cls, rows: Sequence[tuple[str, list[str]]]) -> Texts:
        """Prompts and responses, with their attributes."""
        prompts, responses = [row[0] for row in rows], np.array([row[1] for row in rows], dtype=object)
        return cls(prompts, responses, _attributes(prompts, responses))

    def first(self, n: int) -> Texts:
        """The first n prompts."""
        return Texts(self.prompts[:n], self.responses[:n], self.attributes[:n])


def _attributes(prompts: Sequence[str], responses: NDArray[Any]) -> NDArray[np.float32]:
    flat = attributes(np.repeat(np.array(prompts, object), responses.shape[1]).tolist(), responses.ravel().tolist())
    return flat.reshape(*responses.shape, -1)


class Readers(nn.Module):
    """A linear head for each training reader, and what the readers think."""

    def __init__(self, options: Train, texts: Texts) -> None:
        super().__init__()
        within = texts.attributes - texts.attributes.mean(1, keepdims=True)
        rng = Streams(options.seed).generator("tastes")
        self.spread = within.std((0, 1)) + 1e-6  # (A,)
        self.mean = texts.attributes.mean((0, 1))
        self.tastes = random_tastes(options.readers, rng, without=options.without)  # (K, A)
        self.tastes /= self._raw(texts.attributes).std(1).mean(0)[:, None]  # unit spread within a prompt
        self.heads = nn.Parameter(torch.randn(options.readers, options.dim) / options.dim**0.5)

    def _raw(self, noticed: NDArray[np.float32]) -> NDArray[np.float32]:
        standard = np.clip((noticed - self.mean) / self.spread, -_CLIP, _CLIP)
        result: NDArray[np.float32] = standard @ self.tastes.T
        return result

    def loss(self, features: Tensor, noticed: NDArray[np.float32]) -> Tensor:
        """Cross-entropy over all pairs of a prompt's responses: features (P, M, D), attributes (P, M, A)."""
        first, second = torch.triu_indices(features.shape[1], features.shape[1], 1)
        scores = features @ self.heads.T  # (P, M, K)
        wanted = torch.from_numpy(self._raw(noticed)) * _SHARPNESS
        target = torch.sigmoid(wanted[:, first] - wanted[:, second])
        return binary_cross_entropy_with_logits(scores[:, first] - scores[:, second], target)


class Trainer:
    """Network, readers, optimizer; all that a checkpoint holds."""

    def __init__(self, options: Train) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        rows = load_texts(options.texts)
        self.texts, self.validation = Texts.of(rows[:-VALIDATION]), Texts.of(rows[-VALIDATION:])
        folder = resolve_model(options.model)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, num_hidden_layers=options.layers)
        self._tokens = Tokens(self.tokenizer, model, None, 64)
        self.network = PreferenceNetwork(model, options.dim, dtype=getattr(torch, options.dtype))
        self.readers = Readers(options, self.texts)
        new = [p for name, p in self.network.named_parameters() if not name.startswith("model.")]
        groups = [
            {"params": [*model.parameters()], "peak": options.learning_rate, "weight_decay": 0.01},
            {"params": new, "peak": 5 * options.learning_rate, "weight_decay": 0.01},
            {"params": [*self.readers.parameters()], "peak": 16 * options.learning_rate, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        self.step, self.seconds = 0, 0.0

    def batch(self, prompts: Sequence[str], responses: NDArray[Any]) -> TokenBatch:
        """Tokens of responses (P, M)."""
        tokens, lengths = self._tokens.prompts(prompts)
        owner = torch.arange(len(prompts)).repeat_interleave(responses.shape[1])
        return TokenBatch(tokens, lengths, owner, *self._tokens.responses(responses.ravel().tolist()))

    def learn(self) -> float:
        """One step; returns its loss."""
        o, rng = self.options, Streams(self.options.seed).generator(f"step/{self.step}")
        per_epoch = len(self.texts.prompts) // o.prompts_a_step
        epoch, place = divmod(self.step, per_epoch)
        order = Streams(o.seed).generator(f"epoch/{epoch}").permutation(len(self.texts.prompts))
        rows = order[place * o.prompts_a_step :][: o.prompts_a_step]
        prompts, responses = [self.texts.prompts[i] for i in rows], self.texts.responses[rows].copy()
        noticed = self.texts.attributes[rows].copy()
        columns = rng.permutation(responses.shape[1])[:_HEATED]  # off the topic or in another mood
        responses[:, columns] = responses[rng.permutation(len(rows))][:, columns]
        noticed[:, columns] = _attributes(prompts, responses[:, columns])
        features = self.network(self.batch(prompts, responses)).view(*responses.shape, -1)
        loss = self.readers.loss(features, noticed)
        share = self.step / o.steps
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * min(1.0, (self.step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * share))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def encode(self, texts: Texts) -> NDArray[np.float32]:
        """Features (P, M, D)."""
        with torch.no_grad():
            parts = [
                self.network(self.batch(texts.prompts[i : i + 8], texts.responses[i : i + 8]))
                for i in range(0, len(texts.prompts), 8)
            ]
        return torch.cat(parts).view(*texts.responses.shape, -1).numpy()

    def look(self) -> NDArray[np.float64]:
        """Linear R² of 64 fresh random tastes on the validation prompts, fitted on as many others, (64,)."""
        n, known = 2 * VALIDATION, self.texts
        some = known.first(n)
        features = np.concatenate([self.encode(some), self.encode(self.validation)])
        noticed = np.concatenate([some.attributes, self.validation.attributes])
        standard = np.clip((noticed - self.readers.mean) / self.readers.spread, -_CLIP, _CLIP)
        fresh = random_tastes(64, np.random.default_rng(999))
        return np.array([explained(features, standard @ taste, n) for taste in fresh])

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "readers": self.readers.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "clock": (self.step, self.seconds),
        }
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.readers.load_state_dict(state["readers"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["clock"]


def train(options: Train) -> None:
    """Train, and report the loss and the processor's seconds."""
    console = Console(stderr=True)
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pt"
    trainer = Trainer(options)
    if checkpoint.is_file():
        trainer.load(checkpoint)
    losses: list[float] = []
    while trainer.step < options.steps:
        begun = time.process_time()
        losses.append(trainer.learn())
        trainer.seconds += time.process_time() - begun
        if trainer.step % _SAVE_EVERY == 0:
            trainer.save(checkpoint)
            console.print(f"step {trainer.step}, {trainer.seconds:.0f} s: loss {np.mean(losses[-_SAVE_EVERY:]):.4f}")
        if trainer.step % _LOOK_EVERY == 0:
            found = trainer.look()
            console.print(f"  R² of fresh tastes {found.mean():.3f} ({found.min():.2f} to {found.max():.2f})")
    trainer.save(checkpoint)


if __name__ == "__main__":
    train(tyro.cli(Train))
