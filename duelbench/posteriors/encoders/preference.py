"""The `preference` encoder: a small language model that has read other readers' preferences.

    φ(x, y) = A · [h_last, mean h, Σ h / 16] + B · gelu(C · [...])

h are the final hidden states at the response's tokens. ``experiments/preference_encoder`` trained the packaged one on
simulated readers with random tastes, none of which is reported on: their preferences are all predicted from one φ, by a
linear head for each reader. A new reader's taste is then nearly linear in φ, and a reward model on φ learns it from few
labels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from duelbench.assets.model_source import ModelUnavailableError, packaged_encoder
from duelbench.assets.pretrained import not_finite
from duelbench.policies.loading import multiplies_bfloat16
from duelbench.policies.networks.llama.llama import LlamaNetwork
from duelbench.policies.networks.network import TokenBatch
from duelbench.policies.tokens import Tokens
from duelbench.posteriors.encoders.network import NetworkEncoder

_LONGEST_PROMPT, _LONGEST_RESPONSE = 48, 80  # tokens: together what the embedded model's positions allow
_SUM_SCALE = 16.0  # a typical number of tokens: the sum is then about as large as the mean


class PreferenceNetwork(nn.Module):
    """From tokens to features, every weight of it trainable.

    Args:
        model: a ``LlamaForCausalLM``.
        dim: D, of the features.
        hidden: width of the hidden layer.
        dtype: of the backbone's matrix products.
    """

    def __init__(self, model: Any, dim: int, hidden: int = 256, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.model, self.dim, self.hidden = model, dim, hidden
        pooled = 3 * model.config.hidden_size
        self.linear = nn.Linear(pooled, dim)
        self.first, self.second = nn.Linear(pooled, hidden), nn.Linear(hidden, dim, bias=False)
        self._network = LlamaNetwork(model, dtype)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Features of each response, (N, D) float32."""
        states = self._network.states(batch)  # (N, R, d)
        total = states.sum(1)
        last = states[torch.arange(len(states)), batch.lengths - 1]
        pooled = torch.cat([last, total / batch.lengths[:, None], total / _SUM_SCALE], -1)
        features: Tensor = self.linear(pooled) + self.second(nn.functional.gelu(self.first(pooled)))
        return features


class PreferenceEncoder(NetworkEncoder):
    """The packaged encoder, or one of your own from the folder that its training wrote.

    It was taught on short writing requests in English; of a longer prompt it reads the last 48 tokens, of a longer
    response the first 80.

    Args:
        folder: of an encoder; None takes the packaged one.
        dtype: of matrix products: float32, bfloat16, or auto, which is bfloat16 where the processor is faster with it.

    Raises:
        ModelUnavailableError: there is no such encoder.
    """

    def __init__(self, folder: str | Path | None = None, *, dtype: str = "auto") -> None:
        where = packaged_encoder() if folder is None else Path(folder).expanduser()
        self.name = "preference" if folder is None else f"preference:{folder}"
        try:
            shape = json.loads((where / "encoder.json").read_text(encoding="utf-8"))
            backbone = LlamaForCausalLM(LlamaConfig.from_pretrained(where))
            self.module = PreferenceNetwork(backbone, shape["dim"], shape["hidden"], _precision(dtype))
            weights = {name: tensor.float() for name, tensor in load_file(where / "model.safetensors").items()}
            backbone.tie_weights()
            missing, unexpected = self.module.load_state_dict(weights, strict=False)
            if unexpected or set(missing) - {"model.lm_head.weight"}:
                raise KeyError(f"weights do not fit: {sorted({*missing, *unexpected})}")
            if wrong := not_finite(weights):
                raise KeyError(f"not finite: {wrong}")
            tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelUnavailableError(
                f"{where} holds no preference encoder ({error}): expected a folder that "
                "duelbench.experiments.preference_encoder wrote"
            ) from error
        self.dim = self.module.dim
        self._tokens = Tokens(tokenizer, backbone, None, _LONGEST_RESPONSE)

    def tokens(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> TokenBatch:
        """Tokens of M responses to each of B prompts, in rows b * M + m."""
        owner = torch.tensor([row for row, texts in enumerate(responses) for _ in texts])
        texts = [text for row in responses for text in row]
        prompt_tokens, lengths = self._tokens.tails(prompts, _LONGEST_PROMPT)
        return TokenBatch(prompt_tokens, lengths, owner, *self._tokens.responses(texts))


def save_encoder(network: PreferenceNetwork, tokenizer: Any, folder: Path) -> None:
    """Write an encoder, its weights in half precision, for ``PreferenceEncoder(folder)``."""
    folder.mkdir(parents=True, exist_ok=True)
    tied = {"model.lm_head.weight"} if network.model.config.tie_word_embeddings else set()
    kept = {name: tensor for name, tensor in network.state_dict().items() if name not in tied}
    save_file({name: tensor.half().contiguous() for name, tensor in kept.items()}, folder / "model.safetensors")
    network.model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    shape = json.dumps({"dim": network.dim, "hidden": network.hidden})
    (folder / "encoder.json").write_text(f"{shape}\n", encoding="utf-8")


def _precision(dtype: str) -> torch.dtype:
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype == "auto":
        dtype = "bfloat16" if multiplies_bfloat16("cpu") else "float32"
    if dtype not in known:
        raise ValueError(f"dtype {dtype!r} is not available: expected auto, {' or '.join(known)}")
    return known[dtype]
