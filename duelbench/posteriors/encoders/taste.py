"""The `knows_taste` encoder: what a simulated reader itself notices. Privileged: a reference line, not a competitor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from duelbench.oracles.checks import OracleError
from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.taste import FEATURES, MEANS, SDS, TASTES


class TasteEncoder:
    """The features that a taste weighs, standardised: the reader's utility is linear in them.

    A learner on them shows what any encoder could make of the labels at best; of the weights it knows nothing.

    Args:
        taste: name of a simulated reader.

    Raises:
        ValueError: there is no such reader.

    >>> TasteEncoder("reader").encode(["Write a happy sentence about a fox."], [["A fox laughed.", "No."]]).shape
    torch.Size([1, 2, 9])
    """

    def __init__(self, taste: str = "reader") -> None:
        try:
            self._reader = Reader(taste)
        except OracleError as error:
            raise ValueError(f"encoder knows_taste: {error}") from error
        self.name = f"knows_taste:{taste}"
        self._columns = [i for i, name in enumerate(FEATURES) if name in TASTES[taste]]
        self._mean, self._sd = (np.array([t[name] for name in FEATURES])[self._columns] for t in (MEANS, SDS))
        self.dim = len(self._columns)

    def encode(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> Tensor:
        """Features of M responses to each of B prompts, (B, M, D) float32."""
        asked = [prompt for prompt, texts in zip(prompts, responses, strict=True) for _ in texts]
        noticed = self._reader.features(asked, [text for texts in responses for text in texts])[:, self._columns]
        width = len(responses[0]) if len(responses) else 0
        standard = ((noticed - self._mean) / self._sd).astype(np.float32)
        return torch.from_numpy(standard.reshape(len(prompts), width, self.dim))
