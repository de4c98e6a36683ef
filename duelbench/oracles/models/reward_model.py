"""Reward models from Hugging Face as oracles: any sequence classifier with one label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification

from duelbench.assets.pretrained import pretrained, pretrained_tokenizer
from duelbench.conversation import transcript, turns
from duelbench.oracles.checks import OracleError, bradley_terry, check_texts
from duelbench.oracles.models.networks import (
    check_vocabulary,
    longest_input,
    pad,
    pick_device,
    score_in_batches,
    vocabulary,
)
from duelbench.ranges import Count, check_values


class RewardModelOracle:
    """The scalar output of a sequence classifier as utility, compared by Bradley–Terry.

    With a chat template the text scored is the conversation user: prompt, assistant: response (as the
    Skywork reward models want it); without one it is the pair (prompt + newline, response) as the tokenizer
    joins pairs.

    A text longer than `max_length` tokens is not cut, for a cut text is another text: its utility is NaN.
    """

    prefers_by_utility = True

    def __init__(
        self, model: str, *, batch_size: Count = 16, max_length: Count = 2048, device: str | None = None
    ) -> None:
        """Load a reward model; code from the model's repository is never run.

        Args:
            model: local folder or hub id.
            batch_size: texts scored at once.
            max_length: longest text, in tokens; the model's own limit counts too.
            device: torch device; the GPU when there is one, by default.

        Raises:
            ModelUnavailableError: it cannot be loaded whole (``duelbench.assets.pretrained``).
            OracleError: the model has more than one label.
        """
        check_values(RewardModelOracle, {"batch_size": batch_size, "max_length": max_length})
        self.name = f"reward-model:{model}"
        self.device = pick_device(device)
        self.tokenizer = pretrained_tokenizer(model, kind="a reward model")
        network = pretrained(AutoModelForSequenceClassification, model, kind="a reward model", dtype="auto")
        labels = network.config.num_labels
        if labels != 1:
            raise OracleError(
                f"{self.name}: expected a reward model with one label, this one has {labels}: "
                "choose a checkpoint trained as a scalar reward model"
            )
        self.model = network.to(self.device).eval()
        self.max_length = longest_input(network, self.tokenizer, max_length)
        # A decoder finds its last token by skipping padding; where none is declared it takes one text only.
        self.batch_size = 1 if network.config.pad_token_id is None else batch_size
        self._vocabulary = vocabulary(network)
        check_vocabulary(self.name, self._encode("a", "b")["input_ids"], network)

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """Reward of n (prompt, response) texts, (n,).

        NaN for texts longer than `max_length` tokens, or with a token that the model does not embed.

        Raises:
            OracleError: unequal lengths or entries that are no strings.
        """
        check_texts(self.name, prompts, responses)
        encoded = [self._encode(x, y) for x, y in zip(prompts, responses, strict=True)]
        lengths = np.array([len(text["input_ids"]) for text in encoded], dtype=np.int64)
        known = [max(text["input_ids"], default=0) < self._vocabulary for text in encoded]
        usable = (lengths > 0) & (lengths <= self.max_length) & np.array(known, dtype=bool)
        rewards = score_in_batches(encoded, lengths, usable, self.batch_size, self._score)
        rewards[~np.isfinite(rewards)] = np.nan
        return rewards

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,); NaN where either was too long."""
        check_texts(self.name, prompts, firsts, seconds)
        both = self.utilities([*prompts, *prompts], [*firsts, *seconds])
        return bradley_terry(both[: len(prompts)], both[len(prompts) :])

    def _encode(self, prompt: str, response: str) -> dict[str, list[int]]:
        if self.tokenizer.chat_template is None:
            return dict(self.tokenizer(f"{transcript(prompt)}\n", response))
        conversation = [*turns(prompt), {"role": "assistant", "content": response}]
        text = self.tokenizer.apply_chat_template(conversation, tokenize=False)
        return dict(self.tokenizer(text, add_special_tokens=False))

    @torch.inference_mode()
    def _score(self, texts: list[dict[str, list[int]]]) -> NDArray[np.float64]:
        fills = {"input_ids": self.model.config.pad_token_id or 0}  # mask and token types fill with 0
        columns = {name: [text[name] for text in texts] for name in texts[0]}
        batch = {name: pad(rows, fills.get(name, 0), left=False) for name, rows in columns.items()}
        logits = self.model(**{name: ids.to(self.device) for name, ids in batch.items()}).logits
        return np.asarray(logits[:, 0].double().cpu().numpy())
