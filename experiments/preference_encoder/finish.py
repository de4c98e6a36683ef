"""Make the encoder of a training's last checkpoint: its features turned to few, uncorrelated components.

python -m duelbench.experiments.preference_encoder.finish --texts FOLDER --checkpoint FOLDER --out FOLDER

With the readers' heads w ~ N(0, C) and the features' covariance S within a prompt, φ' = Vᵀ Lᵀ φ with C = L Lᵀ and
Lᵀ S L = V Λ Vᵀ: in φ' a reader's head is isotropic, which is what a reward model's prior assumes, and the components
are uncorrelated. Those that explain the readers' utilities are kept, each at its own spread √Λ, in a unit in which the
root mean square of the spreads is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from duelbench.experiments.preference_encoder.train import Train, Trainer
from duelbench.posteriors.encoders.preference import PreferenceNetwork, save_encoder

KEPT = 0.995
"""Share of the readers' variance that the kept components explain."""
_PROMPTS = 512  # from which the covariance is estimated


@dataclass
class Finish:
    """Options of the last step."""

    texts: Path
    """Folder of the shards."""
    checkpoint: Path
    """Folder of the training."""
    out: Path
    """Folder of the encoder."""


def rotation(heads: NDArray[np.float64], covariance: NDArray[np.float64], kept: float) -> NDArray[np.float64]:
    """Vᵀ Lᵀ of the components that explain a share of the readers' variance, (k, D), largest first."""
    values, vectors = np.linalg.eigh(heads.T @ heads / len(heads))
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # L
    spread, turned = np.linalg.eigh(root.T @ covariance @ root)
    spread, turned = spread[::-1], turned[:, ::-1]
    k = int(np.searchsorted(np.cumsum(spread) / spread.sum(), kept)) + 1
    return (root @ turned[:, :k]).T


def turned(network: PreferenceNetwork, turn: Tensor, mean: Tensor) -> PreferenceNetwork:
    """The network whose features are turn · (φ − mean)."""
    result = PreferenceNetwork(network.model, len(turn), network.hidden)
    with torch.no_grad():
        result.first.load_state_dict(network.first.state_dict())
        result.second.weight.copy_(turn @ network.second.weight)
        result.linear.weight.copy_(turn @ network.linear.weight)
        result.linear.bias.copy_(turn @ (network.linear.bias - mean))
    return result


def finish(options: Finish) -> None:
    """Write the encoder."""
    trainer = Trainer(Train(options.texts, options.checkpoint, dtype="float32"))
    trainer.load(options.checkpoint / "checkpoint.pt")
    features = trainer.encode(trainer.texts.first(_PROMPTS)).astype(np.float64)  # (P, M, D)
    within = (features - features.mean(1, keepdims=True)).reshape(-1, features.shape[-1])
    covariance = within.T @ within / len(within)
    turn = rotation(trainer.readers.heads.detach().double().numpy(), covariance, KEPT)
    turn /= np.sqrt(np.trace(turn @ covariance @ turn.T) / len(turn))
    parts = (torch.from_numpy(part).float() for part in (turn, features.mean((0, 1))))
    network = turned(trainer.network, *parts)
    save_encoder(network, trainer.tokenizer, options.out)
    spread = (within @ turn.T).std(0)
    Console().print(f"{len(turn)} components of spread {spread.max():.2f} to {spread.min():.2f} within a prompt")


if __name__ == "__main__":
    finish(tyro.cli(Finish))
