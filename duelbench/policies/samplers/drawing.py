"""Drawing responses token by token from a decoder, by inversion of the cumulative distribution."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from duelbench.policies.finite import NonFiniteLogitsError
from duelbench.policies.networks.network import Decoder
from duelbench.policies.samplers.base import Drawn

#: Rows are dropped from the batch once this share of them has finished: dropping copies the cache.
_DROP_SHARE = 0.25
#: Tokens whose probabilities are summed before any are looked at one by one.
_BLOCK = 64


def generate(
    decoder: Decoder, logits: Tensor, uniforms: Tensor | None, end: Tensor, steps: int, temperature: float
) -> Drawn:
    """Decode every row to its end.

    Args:
        decoder: stands after the prompts.
        logits: of each row's first token, (N, V).
        uniforms: one number in [0, 1) for each row and step, (N, steps) float64; None takes the likeliest token.
        end: the tokens that end a response, (K,).
        steps: the most tokens of a response.
        temperature: divides the logits before sampling; 0 takes the likeliest token.
    """
    device = logits.device
    tokens = torch.zeros(len(logits), steps, dtype=torch.int64, device=device)
    lengths = torch.zeros(len(logits), dtype=torch.int64, device=device)
    log_probs = torch.zeros(len(logits), device=device)
    rows = torch.arange(len(logits), device=device)  # which response each decoder row is
    live = torch.ones(len(logits), dtype=torch.bool, device=device)  # decoder rows not finished
    uniforms, end = None if uniforms is None else uniforms.to(device), end.to(device)
    for step in range(steps):
        drawn, scores = draw(logits, None if uniforms is None else uniforms[rows, step], temperature)
        active = rows[live]
        tokens[active, step] = drawn[live]
        lengths[active] += 1
        log_probs[active] += scores[live]
        live &= ~torch.isin(drawn, end)
        running = int(live.sum())
        if not running or step + 1 == steps:
            break
        if running <= (1 - _DROP_SHARE) * len(rows):
            kept = live.nonzero().squeeze(1)
            decoder.keep(kept)
            rows, drawn, live = rows[kept], drawn[kept], live[kept]
        logits = decoder.step(drawn)
    return Drawn(tokens.cpu(), lengths.cpu(), log_probs.cpu())


def draw(logits: Tensor, uniforms: Tensor | None, temperature: float) -> tuple[Tensor, Tensor]:
    """One token for each row, (N,), and its log-probability under the untempered model, (N,) float32.

    Raises:
        NonFiniteLogitsError: a row has no distribution.
    """
    probabilities = logits.softmax(-1)
    peak = probabilities.amax(-1).log()  # of the likeliest token, since the log of another might underflow
    if not peak.isfinite().all():
        raise NonFiniteLogitsError
    if uniforms is None or temperature == 0:
        tokens = logits.argmax(-1)
    else:
        if temperature != 1:  # in the same memory: fresh memory would take longer than the arithmetic
            torch.softmax(torch.div(logits, temperature, out=probabilities), -1, out=probabilities)
        tokens = invert(probabilities, uniforms)
    return tokens, logits.gather(1, tokens[:, None]).squeeze(1) - logits.amax(-1) + peak


def invert(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Where the cumulative distribution of each row (N, V) first exceeds its uniform (N,): tokens (N,).

    A token of probability zero is never drawn. The search goes first over blocks of tokens, then within one block:
    a cumulative sum over the whole vocabulary would cost more than the softmax.
    """
    if missing := -probabilities.shape[1] % _BLOCK:
        probabilities = pad(probabilities, (0, missing))
    blocks = probabilities.unflatten(1, (-1, _BLOCK))  # (N, V / b, b)
    ends = blocks.sum(-1).cumsum(-1)  # (N, V / b)
    target = uniforms[:, None].to(ends.dtype) * ends[:, -1:]
    # A uniform next to 1 is 1 in float32, and is then in no block: the last one of any probability is meant.
    final = (ends < ends[:, -1:]).sum(-1, keepdim=True)
    block = torch.minimum(torch.searchsorted(ends, target, right=True), final)  # (N, 1)
    inside = blocks[torch.arange(len(block), device=block.device), block[:, 0]].cumsum(-1)  # (N, b)
    rest = target - torch.where(block > 0, ends.gather(1, (block - 1).clamp_(min=0)), 0.0)
    # Rounding may leave the rest at the block's end: then its last token of any probability is meant.
    last = (inside < inside[:, -1:]).sum(-1, keepdim=True)
    place = torch.minimum(torch.searchsorted(inside, rest, right=True), last)
    return (block * _BLOCK + place).squeeze(1)
