"""A causal language model as a policy: B x M candidates in one sampling call, trained beside its frozen reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from duelbench.policies.generic import GenericNetwork
from duelbench.policies.llama import LlamaNetwork
from duelbench.policies.network import Network, TokenBatch
from duelbench.policies.sampling import generate
from duelbench.types import Observation, Responses


class CausalLMPolicy:
    """A transformers causal LM that answers prompts.

    A response ends with an end-of-sequence token, which counts as one of its tokens, or is cut after
    ``max_new_tokens``. All log-probabilities, here and in the losses, are those of the untempered model; the
    temperature only shapes what is sampled. Features are of the frozen reference, so they never drift while the policy
    learns: the final hidden state at the last response token, its mean over the response, the mean embedding of the
    response's tokens, and that mean times the prompt's, which shows what prompt and response share.

    Llama-type models run through ``LlamaNetwork``, all others through transformers' own forward pass.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        max_new_tokens: int = 32,
        temperature: float = 1.0,
        dtype: str = "auto",
        prompt_template: str | None = None,
        features: bool = True,
    ) -> None:
        """Load a model and its tokenizer.

        Args:
            model: a local folder or a hub name.
            max_new_tokens: the most tokens of a response.
            temperature: of sampling; 1 samples the model itself.
            dtype: of matrix products: "float32", "bfloat16" (Llama-type only; the trained weights stay float32), or
                "auto": bfloat16 for Llama-type models where the CPU has instructions for it.
            prompt_template: text with ``{prompt}`` in it; None takes the tokenizer's chat template, or the bare
                prompt if there is none.
            features: whether responses carry features; without them ``feature_dim`` is 0.

        Raises:
            ValueError: no such dtype, or bfloat16 for a model that is not of Llama type.
        """
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        self.max_new_tokens, self.temperature = max_new_tokens, temperature
        self._template = prompt_template
        self._features = features
        self._network: Network = _network(network, dtype)
        self._reference = self._network.frozen()
        self._end = _end_tokens(network, self.tokenizer)
        self._longest = getattr(network.config, "max_position_embeddings", None) or 1 << 30
        self.feature_dim = 4 * self._network.hidden_size if features else 0
        self.generated_tokens = 0

    def sample(
        self,
        observation: Observation,
        n: int,
        rng: np.random.Generator,
        *,
        reference: bool = False,
        greedy: bool = False,
    ) -> Responses:
        """n responses for each prompt, shape (B, n).

        Sampling inverts the cumulative distribution at uniforms that are drawn first, (B * n, max_new_tokens), so
        the generator's state and the weights settle the result. Greedy responses draw none.
        """
        texts = tuple(observation["prompt"])
        prompts, lengths = self._encode(texts)
        network = self._reference if reference else self._network
        uniforms = None if greedy else torch.from_numpy(rng.random((len(texts) * n, self.max_new_tokens)))
        with torch.no_grad():
            decoder, logits = network.decoder(prompts, lengths, n, self.max_new_tokens)
            drawn = generate(decoder, logits, uniforms, self._end, self.max_new_tokens, self.temperature)
        self.generated_tokens += int(drawn.lengths.sum())
        owner = torch.arange(len(texts)).repeat_interleave(n)
        batch = TokenBatch(prompts, lengths, owner, drawn.tokens, drawn.lengths)
        return self._responses(texts, batch, (len(texts), n), None if reference else drawn.log_probs)

    def score(self, prompts: Sequence[str], texts: Sequence[str]) -> Responses:
        """Given texts as responses, shape (B,): tokenised, ended, cut after ``max_new_tokens``, and scored."""
        tokens, lengths = self._encode(prompts)
        encoded = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        answers, sizes = _pad([(row + self._end[:1].tolist())[: self.max_new_tokens] for row in encoded])
        answers = torch.nn.functional.pad(answers, (0, self.max_new_tokens - answers.shape[1]))
        batch = TokenBatch(tokens, lengths, torch.arange(len(prompts)), answers, sizes)
        with torch.no_grad():
            log_probs, _ = self._network.score(batch, features=False)
        return self._responses(tuple(prompts), batch, (len(prompts),), log_probs)

    def log_probs(self, responses: Responses) -> Tensor:
        """Log-probability of each response of shape (B,), with gradient. Equal prompts are read once."""
        prompts, owner = np.unique(_prompt_rows(responses), axis=0, return_inverse=True)
        batch = TokenBatch(
            prompts=_long(prompts[:, 1:]),
            prompt_lengths=_long(prompts[:, 0]),
            owner=_long(owner.reshape(-1)),
            tokens=_long(responses.payload["tokens"]),
            lengths=_long(responses.lengths),
        )
        return self._network.score(batch, features=False)[0]

    def parameters(self) -> Iterable[torch.nn.Parameter]:
        """The transformers model's own parameters, float32."""
        return self._network.model.parameters()

    def state_dict(self) -> dict[str, Any]:
        """The weights under the transformers model's names."""
        return {name: parameter.detach().clone() for name, parameter in self._network.model.named_parameters()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave. The reference stays as it was loaded."""
        mine = dict(self._network.model.named_parameters())
        if mine.keys() != state.keys():
            raise ValueError(f"weights do not match the model: {sorted(mine.keys() ^ state.keys())}")
        with torch.no_grad():
            for name, tensor in mine.items():
                tensor.copy_(state[name])

    def _encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        tokens, lengths = _pad(
            self.tokenizer([self._render(p) for p in prompts], add_special_tokens=False)["input_ids"]
        )
        if (longest := int(lengths.max())) + self.max_new_tokens > self._longest:
            raise ValueError(
                f"a prompt of {longest} tokens and {self.max_new_tokens} new ones exceed the model's {self._longest}"
            )
        return tokens, lengths

    def _render(self, prompt: str) -> str:
        if self._template is not None:
            return self._template.replace("{prompt}", prompt)
        if not self.tokenizer.chat_template:
            return prompt
        turn = [{"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))

    def _embedded(self, batch: TokenBatch) -> Tensor:
        """Mean embedding of the response, and its product with the prompt's, (N, 2 d) float32."""
        with torch.no_grad():
            table = self._reference.model.get_input_embeddings().weight
            response = _mean_embedding(table, batch.tokens, batch.lengths)
            prompt = _mean_embedding(table, batch.prompts, batch.prompt_lengths)
            return torch.cat([response, response * prompt[batch.owner]], -1)

    def _responses(
        self, prompts: tuple[str, ...], batch: TokenBatch, shape: tuple[int, ...], log_probs: Tensor | None
    ) -> Responses:
        """Everything about sampled tokens; without ``log_probs`` the reference is what sampled them."""
        with torch.no_grad():
            reference, features = self._reference.score(batch, features=self._features)
        rows = [row[:size] for row, size in zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)]
        texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        actions = np.empty(len(rows), dtype=object)
        actions[:] = [text.strip() for text in texts]
        seen = torch.zeros(len(rows), 0) if features is None else torch.cat([features, self._embedded(batch)], -1)
        return Responses(
            prompts=prompts,
            actions=actions.reshape(shape),
            log_probs=(reference if log_probs is None else log_probs).numpy().reshape(shape),
            reference_log_probs=reference.numpy().reshape(shape),
            lengths=batch.lengths.numpy().reshape(shape),
            features=seen.numpy().reshape(*shape, self.feature_dim),
            context={"prompt_tokens": batch.prompts.numpy(), "prompt_lengths": batch.prompt_lengths.numpy()},
            payload={"tokens": batch.tokens.numpy().reshape(*shape, -1)},
        )


def _mean_embedding(table: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
    """Mean embedding of the first ``lengths`` tokens of each row: (n, T), (n,) -> (n, d) float32."""
    weights = (torch.arange(tokens.shape[1]) < lengths[:, None]).float() / lengths[:, None]
    return torch.nn.functional.embedding_bag(tokens, table, per_sample_weights=weights, mode="sum")


def _network(model: Any, dtype: str) -> Network:
    llama = LlamaNetwork.supports(model.config)
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype == "auto":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        dtype = "bfloat16" if llama and fast else "float32"
    if dtype not in known or (dtype == "bfloat16" and not llama):
        raise ValueError(f"dtype {dtype!r} is not available for a model of type {model.config.model_type!r}")
    return LlamaNetwork(model, known[dtype]) if llama else GenericNetwork(model)


def _end_tokens(model: Any, tokenizer: Any) -> Tensor:
    """Every token that ends a response, the tokenizer's own first."""
    declared = model.generation_config.eos_token_id
    ends = [tokenizer.eos_token_id, *(declared if isinstance(declared, list) else [declared])]
    if not (ends := [end for end in ends if end is not None]):
        raise ValueError("neither the model nor its tokenizer names an end-of-sequence token")
    return torch.tensor(list(dict.fromkeys(ends)))


def _pad(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Rows of tokens padded on the right with 0, (B, T), and their lengths (B,)."""
    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max())
    return torch.tensor([row + [0] * (width - len(row)) for row in rows]), lengths


def _prompt_rows(responses: Responses) -> NDArray[np.int64]:
    """Length and padded tokens of each prompt, (B, 1 + P): what makes two prompts one."""
    return np.column_stack([responses.context["prompt_lengths"], responses.context["prompt_tokens"]])


def _long(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
