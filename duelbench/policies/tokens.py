"""Between texts and tokens: prompts rendered as the model was taught them, responses cut at their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor

from duelbench.conversation import turns
from duelbench.types import is_text


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
        self._front = front_tokens(tokenizer)
        self._vocabulary = int(model.get_input_embeddings().weight.shape[0])
        self._longest = getattr(model.config, "max_position_embeddings", None) or 1 << 30

    def check(self, prompts: Sequence[str]) -> None:
        """Check that every prompt can be read and leaves room for a response.

        Raises:
            ValueError: for the first that cannot, with its row (counted from 1) and what to do.
        """
        self._encoded(prompts)

    def prompts(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Rendered prompts padded on the right, (B, P), and their lengths (B,).

        A prompt begins with what the tokenizer itself puts in front of a text, once: most often a beginning-of-sequence
        token, which a chat template or the text may have put there already.

        Raises:
            ValueError: as ``check`` does.
        """
        return _pad(self._encoded(prompts))

    def tails(self, prompts: Sequence[str], longest: int) -> tuple[Tensor, Tensor]:
        """Rendered prompts as in ``prompts``, but of each no more than its last ``longest`` tokens."""
        encoded = self._tokenizer([self._render(prompt) for prompt in prompts], add_special_tokens=False)["input_ids"]
        return _pad([tokens[-longest:] for tokens in encoded])

    def responses(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Given texts, ended and cut after ``max_new_tokens``: (B, max_new_tokens) and lengths (B,).

        Raises:
            ValueError: a text that is none, or with a token that the model does not know.
        """
        encoded = self._tokenised([*texts], texts, "response")
        tokens, sizes = _pad([(row + self.end[:1].tolist())[: self.max_new_tokens] for row in encoded])
        return torch.nn.functional.pad(tokens, (0, self.max_new_tokens - tokens.shape[1])), sizes

    def unfinished(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Which responses were cut off before they ended: (N, T), (N,) -> (N,) bool."""
        last = tokens[torch.arange(len(tokens)), lengths - 1]
        return ~torch.isin(last, self.end)

    def _encoded(self, prompts: Sequence[str]) -> list[list[int]]:
        """Tokens of each prompt, checked."""
        rows = self._tokenised([self._render(prompt) for prompt in prompts], prompts, "prompt")
        front = self._front
        rows = [row if row[: len(front)] == front else front + row for row in rows]
        for number, (prompt, row) in enumerate(zip(prompts, rows, strict=True), 1):
            if not row:
                raise ValueError(
                    f"prompt {number} is {prompt!r}, which renders to no token: remove it or write something"
                )
            if len(row) + self.max_new_tokens > self._longest:
                raise ValueError(
                    f"prompt {number}, {prompt!r:.80}, has {len(row)} tokens, which with max_new_tokens="
                    f"{self.max_new_tokens} exceed the {self._longest} that the model reads: leave longer prompts out "
                    "(task_options={'longest': CHARACTERS}) or lower policy.max_new_tokens"
                )
        return rows

    def _tokenised(self, texts: list[str], given: Sequence[str], what: str) -> list[list[int]]:
        """Tokens of each text, without special ones in front or behind; ``given`` is what errors show."""
        for number, text in enumerate(texts, 1):
            if not is_text(text):
                raise ValueError(
                    f"{what} {number}, {text!r:.80}, holds half of a character (a lone surrogate), which no tokenizer "
                    "takes: mend or remove it"
                )
        rows: list[list[int]] = self._tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        for number, (text, row) in enumerate(zip(given, rows, strict=True), 1):
            if max(row, default=0) >= self._vocabulary:
                raise ValueError(
                    f"{what} {number}, {text!r:.80}, has token {max(row)}, but the model embeds {self._vocabulary} "
                    "tokens: its tokenizer belongs to another model, or the embedding was not resized"
                )
        return rows

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


def front_tokens(tokenizer: Any) -> list[int]:
    """The special tokens that a tokenizer puts in front of a text by itself."""
    whole, bare = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (True, False))
    starts = (at for at in range(len(whole)) if whole[at : at + len(bare)] == bare)
    return [*whole[: next(starts, 0)]]


def _end_tokens(model: Any, tokenizer: Any) -> Tensor:
    """Every token that ends a response; first the one that ends a given text: a turn of the chat, or any text."""
    declared = model.generation_config.eos_token_id
    ends = [tokenizer.eos_token_id, *(declared if isinstance(declared, list) else [declared])]
    if not (ends := [end for end in ends if end is not None]):
        raise ValueError("neither the model nor its tokenizer names an end-of-sequence token")
    said = [token for token in _turn(tokenizer) if token in ends]
    return torch.tensor(list(dict.fromkeys([*said[-1:], *ends])))


def _turn(tokenizer: Any) -> list[int]:
    """A chat in which the model has answered, as tokens; empty without a chat template, or if it takes no such chat."""
    if not tokenizer.chat_template:
        return []
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    try:
        text = tokenizer.apply_chat_template(chat, tokenize=False)
    except (TemplateError, ValueError):
        return []
    return [*tokenizer(text, add_special_tokens=False)["input_ids"]]


def _pad(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Rows of tokens padded on the right with 0, (B, T), and their lengths (B,)."""
    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max())
    return torch.tensor([row + [0] * (width - len(row)) for row in rows]), lengths
