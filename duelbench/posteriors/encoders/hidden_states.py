"""Hidden states of any transformers model as features: a language model, a reward model, a ranker's backbone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModel

from duelbench.assets.model_source import resolve_model
from duelbench.assets.pretrained import pretrained, pretrained_tokenizer
from duelbench.posteriors.encoders.network import NetworkEncoder


class Padded(NamedTuple):
    """Texts as tokens, padded on the right, (n, T) each: ids, which are there, which are the response's."""

    ids: Tensor
    there: Tensor
    response: Tensor


class HiddenStates(nn.Module):
    """The hidden state at the last token, which a reward model's head reads, and the mean over the response's tokens.

    Args:
        backbone: of transformers, without a head.
        layer: whose states: -1 is the last layer, after the final norm.
    """

    def __init__(self, backbone: Any, layer: int) -> None:
        super().__init__()
        self.backbone, self.layer = backbone, layer

    def forward(self, texts: Padded) -> Tensor:
        """Features of n texts, (n, 2 d) float32."""
        ids, there, response = (part.to(self.backbone.device) for part in texts)
        deep = self.layer != -1
        output = self.backbone(input_ids=ids, attention_mask=there, output_hidden_states=deep)
        states = (output.hidden_states[self.layer] if deep else output.last_hidden_state).float()  # (n, T, d)
        last = states[torch.arange(len(states)), there.sum(1) - 1]
        weights = response.float() / response.sum(1, keepdim=True).clamp(min=1)
        return torch.cat([last, (states * weights[..., None]).sum(1)], -1)


class HiddenStatesEncoder(NetworkEncoder):
    """A transformers model's states at a conversation of one turn; code from the model's repository is never run.

    With a chat template the text is the conversation user: prompt, assistant: response, as reward models want it;
    without one it is the pair that the tokenizer joins. A text beyond ``max_length`` tokens loses the beginning of the
    prompt first, then the end of the response.

    Args:
        model: a packaged name, a local folder or a hub id: a causal language model, a sequence classifier (a reward
            model) or an encoder; its head is left away.
        layer: whose states; -1 for the last.
        max_length: longest text, in tokens; the model's own limit counts too.
        lora_rank: rank of low-rank adapters, which then are what is trained; 0 trains all weights.
        dtype: of the weights: float32, bfloat16 or auto, which is as they were saved.
        device: torch device; the GPU where there is one, by default.

    Raises:
        ModelUnavailableError: there is no such model.
    """

    def __init__(
        self,
        model: str,
        *,
        layer: int = -1,
        max_length: int = 2048,
        lora_rank: int = 0,
        dtype: str = "float32",
        device: str | None = None,
    ) -> None:
        self.name = f"hf:{model}"
        folder = resolve_model(model)
        kind = "an encoder"
        self.tokenizer: Any = pretrained_tokenizer(folder, kind=kind)
        backbone: Any = pretrained(AutoModel, folder, kind=kind, headless=True, dtype=_dtype(dtype))
        config = backbone.config.get_text_config()
        depth = config.num_hidden_layers
        if not -depth - 1 <= layer <= depth:
            raise ValueError(f"encoder {self.name}: layer must lie in [{-depth - 1}, {depth}], got {layer}")
        self.dim = 2 * int(config.hidden_size)
        positions = getattr(config, "max_position_embeddings", None) or max_length
        self.max_length = min(max_length, positions, self.tokenizer.model_max_length)
        backbone = backbone.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.module = HiddenStates(_with_adapter(backbone, lora_rank) if lora_rank else backbone, layer)

    def tokens(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> Padded:
        """Token ids of M responses to each of B prompts, in rows b * M + m."""
        rows = [self._row(x, y) for x, texts in zip(prompts, responses, strict=True) for y in texts]
        width = max(len(prompt) + len(response) for prompt, response in rows)
        ids, there, ours = (torch.zeros(len(rows), width, dtype=torch.int64) for _ in range(3))
        for i, (prompt, response) in enumerate(rows):
            end = len(prompt) + len(response)
            ids[i, :end] = torch.tensor(prompt + response)
            there[i, :end], ours[i, len(prompt) : end] = 1, 1
        return Padded(ids, there, ours)

    def _row(self, prompt: str, response: str) -> tuple[list[int], list[int]]:
        """Tokens of the prompt and of the response, never both empty."""
        before, whole = self._texts(prompt, response)
        shared = 0
        while shared < min(len(before), len(whole)) and before[shared] == whole[shared]:
            shared += 1
        before, after = whole[:shared], whole[shared:][: self.max_length]
        room = self.max_length - len(after)
        before = before[len(before) - room :] if len(before) > room else before
        if not before and not after:
            return [self.tokenizer.eos_token_id or 0], []
        return before, after

    def _texts(self, prompt: str, response: str) -> tuple[list[int], list[int]]:
        if self.tokenizer.chat_template is None:
            before = self.tokenizer(f"{prompt}\n")["input_ids"]
            return before, self.tokenizer(f"{prompt}\n", response)["input_ids"]
        turn = [{"role": "user", "content": prompt}]
        options = {"tokenize": True, "return_dict": False}
        before = self.tokenizer.apply_chat_template(turn, add_generation_prompt=True, **options)
        turn.append({"role": "assistant", "content": response})
        return before, self.tokenizer.apply_chat_template(turn, **options)


def _dtype(name: str) -> Any:
    known = {"auto": "auto", "float32": torch.float32, "bfloat16": torch.bfloat16}
    if name not in known:
        raise ValueError(f"dtype {name!r} is not available: expected {', '.join(known)}")
    return known[name]


def _with_adapter(backbone: Any, rank: int) -> Any:
    """Freeze the backbone and add low-rank adapters to all its linear layers."""
    from peft import LoraConfig, get_peft_model

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # what peft and transformers have to tell each other is not for our users
        torch.manual_seed(0)  # peft draws from the global generator: adapters begin the same in every process
        return get_peft_model(backbone, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"))
