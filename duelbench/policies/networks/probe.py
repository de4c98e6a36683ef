"""What a model of transformers can do, found out by running it on a few tokens before anything depends on it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.policies.networks.generic import CACHE

#: Two texts that differ in the last token only.
_TOKENS = ((1, 2, 3, 0), (1, 2, 3, 4))
_NEEDS = {"attention_mask", "position_ids", "use_cache", "logits_to_keep"}


def check_causal(model: Any) -> None:
    """Check that a model predicts each token from those before it alone.

    Raises:
        ModelUnavailableError: it cannot be run on this machine, or it reads on, as BERT does.
    """
    name = f"{type(model).__name__} ({model.config.model_type})"
    try:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor(_TOKENS, device=model.device), use_cache=False).logits.float()
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelUnavailableError(
            f"{name} cannot be run on this machine: {type(error).__name__}: {reason}. Choose another architecture"
        ) from error
    first, second = logits[:, :-1]
    if not torch.allclose(first, second, atol=1e-3, rtol=1e-3):
        raise ModelUnavailableError(
            f"{name} reads what follows a token to predict it, so it is no causal language model: choose another one"
        )


def has_cache(model: Any) -> bool:
    """Whether a model decodes with keys and values alone, which can be padded, repeated and dropped row by row.

    Recurrent states (Mamba, RWKV) and models that mix them with attention (LFM2, Qwen3-Next, RecurrentGemma) cannot: a
    padded token moves the state of those after it.
    """
    if not inspect.signature(model.forward).parameters.keys() >= _NEEDS:
        return False
    try:
        with torch.no_grad():
            cache = model(input_ids=torch.tensor(_TOKENS, device=model.device), use_cache=True)[CACHE]
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return False
    return isinstance(cache, DynamicCache) and all(isinstance(layer, DynamicLayer) for layer in cache.layers)
