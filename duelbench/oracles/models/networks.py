"""What the neural oracles share: device, longest input, padding, batches of like length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from duelbench.oracles.checks import OracleError


def pick_device(device: str | None) -> str:
    """The device asked for; else the GPU when there is one, else the CPU."""
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def longest_input(model: Any, tokenizer: Any, max_length: int) -> int:
    """The most tokens that the caller, the tokenizer and the model's positions all allow."""
    positions = getattr(model.config, "max_position_embeddings", None) or max_length
    for name, module in model.named_modules():  # RoBERTa counts positions from its padding index on
        if name.endswith("position_embeddings") and (padding := getattr(module, "padding_idx", None)) is not None:
            positions -= padding + 1
    return int(min(max_length, positions, tokenizer.model_max_length))


def vocabulary(model: Any) -> int:
    """How many tokens a model embeds; a tokenizer may have more, if tokens were added to it alone."""
    return int(model.get_input_embeddings().weight.shape[0])


def check_vocabulary(oracle: str, ids: Sequence[int], model: Any) -> None:
    """Check that a model embeds what every text will hold, of which ``ids`` is an example.

    Raises:
        OracleError: with both sizes.
    """
    if max(ids, default=0) >= (size := vocabulary(model)):
        raise OracleError(
            f"{oracle}: its tokenizer writes token {max(ids)}, but the model embeds {size} tokens: the tokenizer "
            "belongs to another model, or the embedding was not resized"
        )


def pad(rows: list[list[int]], fill: int, *, left: bool) -> torch.Tensor:
    """Token lists of several lengths as one (n, longest) tensor, filled up on the left or on the right."""
    width = max(map(len, rows))
    blanks = [[fill] * (width - len(row)) for row in rows]
    return torch.tensor([b + row if left else row + b for row, b in zip(rows, blanks, strict=True)])


def score_in_batches(
    rows: Sequence[Any], lengths: ArrayLike, usable: ArrayLike, batch_size: int, score: Callable[[list[Any]], Any]
) -> NDArray[np.float64]:
    """A score of each row, (n,), neighbours of like length together, which wastes little padding; NaN where unusable.

    Args:
        rows: n inputs.
        lengths: length of each row, (n,).
        usable: which of them are scored at all, (n,).
        batch_size: rows scored at once.
        score: from some rows to their scores.
    """
    scores = np.full(len(rows), np.nan)
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    order = order[np.asarray(usable, dtype=bool)[order]]
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        scores[batch] = score([rows[i] for i in batch])
    return scores
