"""What a causal language model must do to be a policy: score responses in parallel and decode them token by token."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duelbench.types import Responses


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Responses as tokens, with each distinct prompt held once.

    Attributes:
        prompts: prompt tokens, padded on the right, (U, P) int64.
        prompt_lengths: (U,) int64, at least 1.
        owner: which prompt each response answers, (N,) int64.
        tokens: response tokens, padded on the right, (N, R) int64.
        lengths: (N,) int64, at least 1.
    """

    prompts: Tensor
    prompt_lengths: Tensor
    owner: Tensor
    tokens: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, responses: Responses) -> TokenBatch:
        """A policy's own responses, shape (B,). Equal prompts are read once."""
        rows = np.column_stack([responses.context["prompt_lengths"], responses.context["prompt_tokens"]])  # (B, 1 + P)
        prompts, owner = np.unique(rows, axis=0, return_inverse=True)
        tokens = responses.payload["tokens"], responses.lengths
        return cls(*map(_long, (prompts[:, 1:], prompts[:, 0], owner.reshape(-1), *tokens)))

    def rows(self, rows: Tensor) -> TokenBatch:
        """Some responses, by integer index, with the prompts that they answer."""
        prompts, owner = self.owner[rows].unique(return_inverse=True)
        return TokenBatch(
            self.prompts[prompts], self.prompt_lengths[prompts], owner, self.tokens[rows], self.lengths[rows]
        )

    def portions(self, most: int) -> list[Tensor]:
        """Responses in portions of about this many tokens, by integer index; those of one prompt stay together."""
        tokens = torch.zeros_like(self.prompt_lengths).index_add_(0, self.owner, self.lengths)  # of each prompt, (U,)
        portion = ((tokens.cumsum(0) - tokens) // most)[self.owner]  # (N,)
        return [(portion == index).nonzero().squeeze(1) for index in portion.unique()]


def _long(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))


class Decoder(Protocol):
    """Unfinished responses being decoded, one row each, with their key-value cache."""

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row, (N,); returns the next token's logits, (N, V) float."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, by integer index."""
        ...


class Network(Protocol):
    """A causal language model with its weights. Tensors go in and come out on the CPU, wherever it computes."""

    hidden_size: int
    model: Any  # transformers' PreTrainedModel: it owns the parameters

    def decoder(self, prompts: Tensor, lengths: Tensor, n: int, steps: int) -> tuple[Decoder, Tensor]:
        """Read each prompt once, then stand ready to decode n responses to it.

        Args:
            prompts: prompt tokens, padded on the right, (B, P) int64.
            lengths: (B,) int64.
            n: responses a prompt; row b * n + i of the decoder is response i to prompt b.
            steps: the most tokens that a response may have.

        Returns:
            The decoder and the first token's logits, (B * n, V) float.
        """
        ...

    def casting(self) -> AbstractContextManager[None]:
        """While it lasts no weight changes, so that what must be cast to a lower precision is cast once."""
        ...

    def score(self, batch: TokenBatch, *, features: bool) -> tuple[Tensor, Tensor | None]:
        """One parallel pass over prompts and responses, with gradient where it is enabled.

        Returns:
            Log-probability of each response, (N,) float32; and, if asked, its features, (N, 2 * hidden_size)
            float32: the final hidden state at the last response token, then its mean over the response tokens.
        """
        ...

    def embeddings(self) -> Tensor:
        """The embedding of every token, (V, d) on the CPU."""
        ...

    def frozen(self) -> Self:
        """The network as it is now, which nothing trains."""
        ...
