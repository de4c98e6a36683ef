"""A causal language model as a policy: B x M candidates in one sampling call, trained beside its frozen reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from duelbench.policies.finite import check_log_probs
from duelbench.policies.loading import load
from duelbench.policies.networks.network import TokenBatch
from duelbench.policies.samplers.base import MixtureSampler, Sampler
from duelbench.policies.samplers.own import OwnSampler
from duelbench.policies.tokens import Tokens
from duelbench.protocols import Encoder
from duelbench.ranges import Count, Natural, NonNegative, check_values
from duelbench.types import Detail, Observation, Responses


class CausalLMPolicy:
    """A transformers causal LM that answers prompts.

    A response ends with an end-of-sequence token, which counts as one of its tokens, or is cut after
    ``max_new_tokens``. All log-probabilities, here and in the losses, are those of the untempered model; the
    temperature only shapes what is sampled. Features are those of an encoder or of the frozen reference, so that they
    never drift while the policy learns. The reference's are the final hidden state at the last response token, its mean
    over the response, the mean embedding of the response's tokens, and that mean times the prompt's, which shows what
    prompt and response share.

    On a CPU, Llama-type models run through ``LlamaNetwork``; all others, and any model on a GPU, through transformers'
    own forward pass.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        max_new_tokens: Count = 32,
        temperature: NonNegative = 1.0,
        dtype: str = "auto",
        device: str = "auto",
        prompt_template: str | None = None,
        features: str | Encoder = "lm",
        lora_rank: Natural = 0,
        lora_alpha: Count | None = None,
        checkpointing: bool = False,
        sampler: Literal["own", "vllm", "ray"] = "own",
        sampler_options: dict[str, Any] | None = None,
    ) -> None:
        """Load a model and its tokenizer.

        Args:
            model: a local folder or a hub name.
            max_new_tokens: the most tokens of a response.
            temperature: of sampling; 1 samples the model itself, 0 takes the likeliest token.
            dtype: of matrix products: "float32", "bfloat16" (trained weights stay float32), or "auto": bfloat16 where
                the GPU has it, or where the CPU multiplies faster in it (Intel's AMX, AMD's AVX-512) and the model is
                of Llama type.
            device: "cpu", "cuda", or "auto": a GPU where there is one.
            prompt_template: text with ``{prompt}`` in it; None takes the tokenizer's chat template, or the bare
                prompt if there is none.
            features: what responses carry: the features of the frozen reference ("lm"), those of an encoder, or none
                ("none"; ``feature_dim`` is 0 then).
            lora_rank: rank of the low-rank adapters that are trained in place of the weights; 0 trains the weights.
            lora_alpha: adapters are scaled by alpha / rank; None means 2 · rank.
            checkpointing: recompute each block's activations in the backward pass, to save memory.
            sampler: who draws responses: "own" (this process), "vllm" (``duelbench.policies.samplers.vllm``), or "ray"
                (another process, ``duelbench.policies.samplers.ray``).
            sampler_options: more arguments of the sampler.

        Attributes:
            sampler: the one that was made.

        Raises:
            ModelUnavailableError: there is no such model.
            ValueError: an option that does not exist or does not fit the model.
        """
        if isinstance(features, str) and features not in ("lm", "none"):
            raise ValueError(f"features must be lm, none or an encoder, got {features!r}: see make_encoder")
        settings = {
            "model": str(model),
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "dtype": dtype,
            "device": device,
            "prompt_template": prompt_template,
            "lora_rank": lora_rank,
            "lora_alpha": lora_alpha,
        }
        check_options(settings | {"features": features, "checkpointing": checkpointing, "sampler": sampler})
        loaded = load(
            model, dtype=dtype, device=device, lora_rank=lora_rank, lora_alpha=lora_alpha, checkpointing=checkpointing
        )
        self.tokenizer = loaded.tokenizer
        self.max_new_tokens, self.temperature = max_new_tokens, temperature
        self._features = features
        self._model, self._adapter = loaded.model, loaded.adapter
        self._network, self._reference = loaded.network, loaded.reference
        self._tokens = Tokens(loaded.tokenizer, loaded.model, prompt_template, max_new_tokens)
        self.sampler = self._make_sampler(sampler, settings, sampler_options or {})
        own = 4 * self._network.hidden_size if features == "lm" else 0
        self.feature_dim = own if isinstance(features, str) else features.dim
        self.generated_tokens = 0

    def _make_sampler(self, kind: str, settings: dict[str, Any], options: dict[str, Any]) -> Sampler:
        wanted = {"own": ("max_new_tokens", "temperature"), "vllm": ("max_new_tokens", "temperature", "dtype")}
        arguments = {name: settings[name] for name in wanted.get(kind, settings)} | options
        if kind == "own":
            return OwnSampler(self._network, self._reference, self._tokens.end, **arguments)
        if kind == "vllm":
            from duelbench.policies.samplers.vllm import VLLMSampler
            from duelbench.policies.samplers.vllm_weights import Adapter, FullWeights

            source = Adapter(self._adapter.save_pretrained) if self._adapter else FullWeights(self._trained)
            return VLLMSampler(settings["model"], source, self._tokens.end, **arguments)
        if kind == "ray":
            from duelbench.policies.samplers.ray import RemoteSampler

            return RemoteSampler(self.state_dict, partial(CausalLMPolicy, **arguments, features="none"))
        raise ValueError(f"unknown sampler {kind!r}: expected own, vllm or ray")

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Raise ``ValueError`` for the first prompt that this model could not answer, with its row and what to do."""
        self._tokens.check(prompts)

    def sample(
        self,
        observation: Observation,
        n: int,
        rng: np.random.Generator,
        *,
        reference: bool = False,
        greedy: bool = False,
        detail: Detail = "all",
    ) -> Responses:
        """n responses for each prompt, shape (B, n), settled by the generator's state and the weights.

        Reading what was sampled with the reference takes about as long as sampling it; whoever needs few of many
        candidates samples them without (``detail``) and calls ``referenced`` on those. The reference's own samples and
        its own features ("lm") come with its log-probabilities in any case.
        """
        texts = tuple(observation["prompt"])
        prompts, lengths = self._tokens.prompts(texts)
        drawn = self.sampler.draw(prompts, lengths, n, rng, reference=reference, greedy=greedy)
        self.generated_tokens += int(drawn.lengths.sum())
        owner = torch.arange(len(texts)).repeat_interleave(n)
        batch = TokenBatch(prompts, lengths, owner, drawn.tokens, drawn.lengths)
        return self._responses(texts, batch, (len(texts), n), None if reference else drawn.log_probs, detail)

    def referenced(self, responses: Responses) -> Responses:
        """Responses of shape (B,) with the reference's log-probabilities filled in where they are missing."""
        missing = np.isnan(responses.reference_log_probs)
        if not missing.any():
            return responses
        with torch.no_grad():
            read = self._reference.score(TokenBatch.of(responses.rows(missing)), features=False)[0].numpy()
        check_log_probs(read)
        filled = responses.reference_log_probs.copy()
        filled[missing] = read
        return replace(responses, reference_log_probs=filled)

    def sample_mixture(self, observation: Observation, n: int, rng: np.random.Generator, share: float) -> Responses:
        """n responses for each prompt from the token-by-token mixture π^(1 − share) π_ref^share, shape (B, n).

        Raises:
            ValueError: the sampler cannot mix two models.
        """
        if not isinstance(self.sampler, MixtureSampler):
            raise ValueError("the geometric mixture of policy and reference needs the policy option sampler='own'")
        texts = tuple(observation["prompt"])
        prompts, lengths = self._tokens.prompts(texts)
        drawn = self.sampler.draw_mixture(prompts, lengths, n, rng, share)
        self.generated_tokens += int(drawn.lengths.sum())
        owner = torch.arange(len(texts)).repeat_interleave(n)
        batch = TokenBatch(prompts, lengths, owner, drawn.tokens, drawn.lengths)
        return self._responses(texts, batch, (len(texts), n), drawn.log_probs)

    def score(self, prompts: Sequence[str], texts: Sequence[str]) -> Responses:
        """Given texts as responses, shape (B,): tokenised, ended, cut after ``max_new_tokens``, and scored."""
        tokens, lengths = self._tokens.prompts(prompts)
        batch = TokenBatch(tokens, lengths, torch.arange(len(prompts)), *self._tokens.responses(texts))
        with torch.no_grad():
            log_probs, _ = self._network.score(batch, features=False)
        return self._responses(tuple(prompts), batch, (len(prompts),), log_probs)

    def log_probs(self, responses: Responses) -> Tensor:
        """Log-probability of each response of shape (B,), with gradient."""
        return self._network.score(TokenBatch.of(responses), features=False)[0]

    def parameters(self) -> Iterable[torch.nn.Parameter]:
        """What is trained, float32: the transformers model's own parameters, or its adapters'."""
        return (parameter for _, parameter in self._trained())

    def changed(self) -> None:
        """The weights have moved: copies of them elsewhere are stale."""
        self.sampler.changed()

    def state_dict(self) -> dict[str, Any]:
        """The trained weights under the transformers model's names."""
        return {name: parameter.detach().clone() for name, parameter in self._trained()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave. The reference stays as it was loaded."""
        mine = dict(self._trained())
        if mine.keys() != state.keys():
            raise ValueError(f"weights do not match the model: {sorted(mine.keys() ^ state.keys())}")
        with torch.no_grad():
            for name, tensor in mine.items():
                tensor.copy_(state[name])
        self.changed()

    def _trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        return ((name, p) for name, p in self._model.named_parameters() if p.requires_grad)

    def _embedded(self, batch: TokenBatch) -> Tensor:
        """Mean embedding of the response, and its product with the prompt's, (N, 2 d) float32."""
        with torch.no_grad():
            table = self._reference.embeddings()
            response = _mean_embedding(table, batch.tokens, batch.lengths)
            prompt = _mean_embedding(table, batch.prompts, batch.prompt_lengths)
            return torch.cat([response, response * prompt[batch.owner]], -1)

    def _read(self, batch: TokenBatch, detail: Detail, *, sampled: bool) -> tuple[Tensor | None, Tensor | None]:
        """The reference's log-probabilities and its features of responses, (N,) and (N, 4 d): what is asked for."""
        own = self._features == "lm" and detail != "texts"
        if not (own or sampled or detail == "all"):
            return None, None
        with torch.no_grad():
            reference, states = self._reference.score(batch, features=own)
        return reference, None if states is None else torch.cat([states, self._embedded(batch)], -1)

    def _responses(
        self,
        prompts: tuple[str, ...],
        batch: TokenBatch,
        shape: tuple[int, ...],
        log_probs: Tensor | None,
        detail: Detail = "all",
    ) -> Responses:
        """What is to be known about sampled tokens; without ``log_probs`` the reference is what sampled them."""
        reference, features = self._read(batch, detail, sampled=log_probs is None)
        for scores in (reference, log_probs):
            if scores is not None:
                check_log_probs(scores.numpy())
        if reference is None:
            reference = torch.full((len(batch.tokens),), torch.nan)
        actions = np.empty(len(batch.tokens), dtype=object)
        actions[:] = self._tokens.texts(batch.tokens, batch.lengths)
        if isinstance(self._features, str) or detail == "texts":
            seen = torch.zeros(len(actions), 0) if features is None else features
        else:
            seen = self._features.encode(prompts, actions.reshape(len(prompts), -1).tolist())
        return Responses(
            prompts=prompts,
            actions=actions.reshape(shape),
            log_probs=(reference if log_probs is None else log_probs).numpy().reshape(shape),
            reference_log_probs=reference.numpy().reshape(shape),
            lengths=batch.lengths.numpy().reshape(shape),
            features=seen.numpy().reshape(*shape, seen.shape[-1]),
            context={"prompt_tokens": batch.prompts.numpy(), "prompt_lengths": batch.prompt_lengths.numpy()},
            payload={
                "tokens": batch.tokens.numpy().reshape(*shape, -1),
                "unfinished": self._tokens.unfinished(batch.tokens, batch.lengths).numpy().reshape(shape),
            },
        )


def check_options(options: Mapping[str, Any]) -> None:
    """Check arguments of ``CausalLMPolicy`` before anything is loaded.

    Raises:
        ValueError: naming the first that is of a wrong type or out of its range.
    """
    check_values(CausalLMPolicy, options)
    template = options.get("prompt_template")
    if template is not None and "{prompt}" not in template:
        raise ValueError(f"prompt_template must hold {{prompt}}, where the prompt goes, got {template!r}")


def _mean_embedding(table: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
    """Mean embedding of the first ``lengths`` tokens of each row: (n, T), (n,) -> (n, d) float32."""
    weights = (torch.arange(tokens.shape[1]) < lengths[:, None]).float() / lengths[:, None]
    return torch.nn.functional.embedding_bag(tokens, table, per_sample_weights=weights, mode="sum")
