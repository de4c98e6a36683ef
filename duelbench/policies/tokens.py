"""Between texts and tokens: prompts rendered as the model was taught them, responses cut at their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor

from duelbench.conversation import turns


class Tokens:
    """A tokenizer with the way a prompt is put to its model.

    Args:
        tokenizer: of transformers.
        model: whose configuration may name more end tokens and the longest sequence.
        template: text with ``{prompt}`` in it; None takes the tokenizer's chat template, or the bare prompt if there is
            none.
        max_new_tokens: the most tokens of a response.
    """

    def __init__(self, tokenizer: Any, model: Any, template: str | None, max_new_tokens: int) -> None:
        self._tokenizer, self._template = tokenizer, template
        self.max_new_tokens = max_new_tokens
        self.end = _end_tokens(model, tokenizer)
        self._vocabulary = int(model.get_input_embeddings().weight.shape[0])
        self._longest = getattr(model.config, "max_position_embeddings", None) or 1 << 30

    def check(self, prompts: Sequence[str]) -> None:
        """Check that every prompt can be read and leaves room for a response.

        Raises:
            ValueError: for the first that cannot, with its row (counted from 1) and what to do.
        """
        if not prompts:
            return
        encoded = self._tokenizer([self._render(prompt) for prompt in prompts], add_special_tokens=False)["input_ids"]
        for row, (prompt, tokens) in enumerate(zip(prompts, encoded, strict=True), 1):
            if not tokens:
                raise ValueError(f"prompt {row} is {prompt!r}, which renders to no token: remove it or write something")
            if max(tokens) >= self._vocabulary:
                raise ValueError(
                    f"prompt {row}, {prompt!r:.80}, has token {max(tokens)}, but the model embeds {self._vocabulary} "
                    "tokens: its tokenizer belongs to another model, or the embedding was not resized"
                )
            if len(tokens) + self.max_new_tokens > self._longest:
                raise ValueError(
                    f"prompt {row}, {prompt!r:.80}, has {len(tokens)} tokens, which with max_new_tokens="
                    f"{self.max_new_tokens} exceed the {self._longest} that the model reads: leave longer prompts out "
                    "(task_options={'longest': CHARACTERS}) or lower policy.max_new_tokens"
                )

    def prompts(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Rendered prompts padded on the right, (B, P), and their lengths (B,).

        Raises:
            ValueError: a prompt and a response together may exceed what the model reads.
        """
        rendered = [self._render(prompt) for prompt in prompts]
        tokens, lengths = _pad(self._tokenizer(rendered, add_special_tokens=False)["input_ids"])
        if (longest := int(lengths.max())) + self.max_new_tokens > self._longest:
            raise ValueError(
                f"a prompt of {longest} tokens and {self.max_new_tokens} new ones exceed the model's {self._longest}"
            )
        return tokens, lengths

    def tails(self, prompts: Sequence[str], longest: int) -> tuple[Tensor, Tensor]:
        """Rendered prompts as in ``prompts``, but of each no more than its last ``longest`` tokens."""
        encoded = self._tokenizer([self._render(prompt) for prompt in prompts], add_special_tokens=False)["input_ids"]
        return _pad([tokens[-longest:] for tokens in encoded])

    def responses(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Given texts, ended and cut after ``max_new_tokens``: (B, max_new_tokens) and lengths (B,)."""
        encoded = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        tokens, sizes = _pad([(row + self.end[:1].tolist())[: self.max_new_tokens] for row in encoded])
        return torch.nn.functional.pad(tokens, (0, self.max_new_tokens - tokens.shape[1])), sizes

    def texts(self, tokens: Tensor, lengths: Tensor) -> list[str]:
        """Tokens as text, without end token and surrounding blanks."""
        rows = [row[:size] for row, size in zip(tokens.tolist(), lengths.tolist(), strict=True)]
        return [text.strip() for text in self._tokenizer.batch_decode(rows, skip_special_tokens=True)]

    def _render(self, prompt: str) -> str:
        conversation = turns(prompt)
        plain = [turn["role"] for turn in conversation] == ["user"]
        if plain and self._template is not None:
            return self._template.replace("{prompt}", prompt)
        if plain and not self._tokenizer.chat_template:
            return prompt
        if self._template is not None or not self._tokenizer.chat_template:
            raise ValueError(
                f"{prompt!r:.80} is a conversation, which takes a model with a chat template"
                + (", and no policy.prompt_template" if self._template is not None else "")
            )
        try:
            return str(self._tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True))
        except TemplateError as error:
            raise ValueError(f"the model's chat template refuses {prompt!r:.80}: {error}") from error


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
