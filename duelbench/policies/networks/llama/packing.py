"""Where the tokens of a ragged batch lie: packed one after another for matrix products, padded for attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from duelbench.policies.networks.llama.kernels import Pad, Unpad
from duelbench.policies.networks.network import TokenBatch

#: Responses that attention pads to one width: enough for few calls, few enough for widths to differ.
_GROUP_ROWS = 64


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths, each token in ``kv`` heads.

    Attributes:
        size: tokens in all.
        heads: rows times heads.
        source: for each padded slot (row, head, place) the packed (token, head) it shows, flat.
        home: for each packed (token, head) its padded slot, flat.
        owner: which prompt each row belongs to, (rows,).
        mask: what attention adds to the scores, (rows or 1, 1, R, 1, S) float32: 0 or -inf.
    """

    size: int
    heads: int
    source: Tensor
    home: Tensor
    owner: Tensor
    mask: Tensor

    @classmethod
    def of(cls, valid: Tensor, kv: int, owner: Tensor, seen: Tensor) -> Self:
        """The layout of rows whose valid places (rows, R) come first."""
        rows, width = valid.shape
        place = valid.flatten().cumsum(0).sub_(1).clamp_(min=0).view(rows, 1, width)
        head = torch.arange(kv)
        source = (place * kv + head[:, None]).flatten()
        row, column = valid.nonzero(as_tuple=True)
        home = ((row[:, None] * kv + head) * width + column[:, None]).flatten()
        mask = torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf)[:, None, :, None]
        return cls(len(row), rows * kv, source, home, owner, mask)

    def pad(self, packed: Tensor) -> Tensor:
        """(size * kv, d) -> (rows * kv, R, d)."""
        return Pad.apply(packed, self.source, self.home).view(self.heads, -1, packed.shape[1])

    def unpad(self, padded: Tensor) -> Tensor:
        """(rows * kv, R, d) -> (size, kv * d)."""
        return Unpad.apply(padded.flatten(0, 1), self.home).view(self.size, -1)


@dataclass(frozen=True, slots=True)
class Packing:
    """All tokens of a batch: every prompt's, then every response's.

    Attributes:
        tokens: (T,) int64.
        positions: place of each token in its own sequence, (T,) int64.
        prompt: layout of the prompts.
        responses: layouts of the responses, as far as they are inputs, some rows each.
        counted: which response tokens exist, (N, R) bool; in this order they are predicted.
        predictors: the packed token that predicts each response token, (tokens,).
        rows: the response of each response token, (tokens,).
    """

    tokens: Tensor
    positions: Tensor
    prompt: Ragged
    responses: list[Ragged]
    counted: Tensor
    predictors: Tensor
    rows: Tensor

    @classmethod
    def of(cls, batch: TokenBatch, kv: int, *, last: bool) -> Self:
        """Pack a batch; without ``last`` the last response token is predicted but not read.

        Rows of similar length should be neighbours: attention pads them in groups.
        """
        place, step = torch.arange(batch.prompts.shape[1]), torch.arange(batch.tokens.shape[1])
        counted = step < batch.lengths[:, None]  # (N, R)
        read = counted if last else step < batch.lengths[:, None] - 1
        prefix = place < batch.prompt_lengths[:, None]  # (U, P)
        prompt = Ragged.of(prefix, kv, torch.arange(len(prefix)), (place <= place[:, None])[None])
        starts = batch.prompt_lengths[batch.owner]
        return cls(
            tokens=torch.cat([batch.prompts[prefix], batch.tokens[read]]),
            positions=torch.cat([place.expand(prefix.shape)[prefix], (starts[:, None] + step)[read]]),
            prompt=prompt,
            responses=_groups(read, prefix, batch.owner, kv),
            counted=counted,
            predictors=_predictors(batch, counted, read, prompt.size),
            rows=counted.nonzero(as_tuple=True)[0],
        )


def _groups(read: Tensor, prefix: Tensor, owner: Tensor, kv: int) -> list[Ragged]:
    """Layouts of groups of responses, each as wide as its longest response; responses of no input are left out."""
    groups = []
    for start in range(0, len(read), _GROUP_ROWS):
        rows = slice(start, start + _GROUP_ROWS)
        width = int(read[rows].sum(1).amax())
        if not width:
            continue
        step = torch.arange(width)
        own = (step <= step[:, None]).expand(len(read[rows]), -1, -1)  # (n, R, R)
        before = prefix[owner[rows]][:, None].expand(-1, width, -1)  # (n, R, P)
        groups.append(Ragged.of(read[rows, :width], kv, owner[rows], torch.cat([before, own], -1)))
    return groups


def _predictors(batch: TokenBatch, counted: Tensor, read: Tensor, prompt_tokens: int) -> Tensor:
    """The prompt's last token predicts the first response token, each response token the next."""
    ends = batch.prompt_lengths.cumsum(0) - 1  # (U,)
    packed = (read.flatten().cumsum(0) - 1 + prompt_tokens).view(read.shape)
    return torch.cat([ends[batch.owner][:, None], packed[:, :-1]], 1)[counted]
