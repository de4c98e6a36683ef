"""A language model as judge: asked in both orders which answer is better, read by token probability."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from duelbench.assets.pretrained import pretrained, pretrained_tokenizer
from duelbench.conversation import transcript
from duelbench.oracles.checks import OracleError, check_texts
from duelbench.oracles.models.networks import (
    check_vocabulary,
    longest_input,
    pad,
    pick_device,
    score_in_batches,
    vocabulary,
)
from duelbench.oracles.question import TEMPLATE, check_template
from duelbench.policies.networks.probe import check_causal, has_cache
from duelbench.policies.tokens import front_tokens
from duelbench.ranges import Count, Share, check_values

_CUE = "\n\nBetter answer:"  # what a model without a chat template completes


@dataclass
class JudgeReport:
    """What a judge did so far, in duels.

    Attributes:
        asked: duels put to the judge.
        inconsistent: the verdict turned round with the order of the answers (position bias).
        too_long: left unanswered because the question exceeds `max_length`.
        unclear: left unanswered because neither "A" nor "B" was a likely reply, or because the model does not embed a
            token of the question.
    """

    asked: int = 0
    inconsistent: int = 0
    too_long: int = 0
    unclear: int = 0


class JudgeOracle:
    """Pairwise judgement by a causal LM, free of position bias by asking twice.

    P(first) is the mean over both orders of p("A") / (p("A") + p("B")), where p is the probability of the
    next token. No text is parsed. A judge that cannot answer answers NaN, never a number.
    """

    def __init__(
        self,
        model: str,
        *,
        hard: bool = False,
        template: str = TEMPLATE,
        min_mass: Share = 0.05,
        batch_size: Count = 8,
        max_length: Count = 2048,
        device: str | None = None,
    ) -> None:
        """Load a judge; code from the model's repository is never run.

        Args:
            model: local folder or hub id of a causal LM.
            hard: verdicts 1, 0, or 0.5 where the two orders disagree; probabilities otherwise.
            template: the question, with the fields {prompt}, {a} and {b}.
            min_mass: least p("A") + p("B") for a reply to count.
            batch_size: questions asked at once.
            max_length: longest question, in tokens; the model's own limit counts too.
            device: torch device; the GPU when there is one, by default.

        Raises:
            ModelUnavailableError: it cannot be loaded whole (``duelbench.assets.pretrained``).
            OracleError: a field is missing in the template, or the tokenizer has no single token for A and B.
        """
        check_values(JudgeOracle, {"min_mass": min_mass, "batch_size": batch_size, "max_length": max_length})
        self.name = f"judge:{model}"
        check_template(self.name, template)
        self.hard, self.template, self.min_mass = hard, template, min_mass
        self.batch_size, self.device = batch_size, pick_device(device)
        self.tokenizer = pretrained_tokenizer(model, kind="a judge")
        network: Any = pretrained(AutoModelForCausalLM, model, kind="a judge", dtype="auto")
        check_causal(network)
        self.model = network.to(self.device)
        self.max_length = longest_input(network, self.tokenizer, max_length)
        if not has_cache(network):  # padding would move the state of a recurrent model
            self.batch_size = 1
        self._wants_positions = "position_ids" in inspect.signature(network.forward).parameters
        self._letters = {letter: self._letter_ids(letter) for letter in "AB"}
        self._vocabulary, self._front = vocabulary(network), front_tokens(self.tokenizer)
        check_vocabulary(self.name, self._question("a", "a", "b"), network)
        self.report = JudgeReport()

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,); NaN where the judge could not answer.

        Raises:
            OracleError: unequal lengths or entries that are no strings.
        """
        check_texts(self.name, prompts, firsts, seconds)
        n = len(prompts)
        questions = [self._question(*duel) for duel in zip(prompts, firsts, seconds, strict=True)]
        questions += [self._question(*duel) for duel in zip(prompts, seconds, firsts, strict=True)]
        too_long = np.array([len(ids) > self.max_length for ids in questions], dtype=bool)
        known = np.array([max(ids, default=0) < self._vocabulary for ids in questions], dtype=bool)
        chose_a = score_in_batches(questions, [*map(len, questions)], known & ~too_long, self.batch_size, self._ask)
        return self._verdicts(chose_a[:n], 1.0 - chose_a[n:], too_long[:n] | too_long[n:])

    def _verdicts(
        self, shown_first: NDArray[np.float64], shown_second: NDArray[np.float64], too_long: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Join P(first preferred) as seen when it was answer A and when it was answer B, each (n,)."""
        mean = (shown_first + shown_second) / 2
        inconsistent = (shown_first - 0.5) * (shown_second - 0.5) < 0
        self.report.asked += len(mean)
        self.report.inconsistent += int(inconsistent.sum())
        self.report.too_long += int(too_long.sum())
        self.report.unclear += int((np.isnan(mean) & ~too_long).sum())
        if not self.hard:
            return mean
        verdict = np.where(inconsistent, 0.5, (np.sign(mean - 0.5) + 1) / 2)
        return np.where(np.isnan(mean), np.nan, verdict)

    def _question(self, prompt: str, a: str, b: str) -> list[int]:
        # One pass over the template, so that a text holding "{a}" cannot fill another field.
        text = self.template.format(prompt=transcript(prompt), a=a, b=b)
        if self.tokenizer.chat_template is None:
            return list(self.tokenizer(text + _CUE)["input_ids"])
        turns = [{"role": "user", "content": text}]
        chat = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = list(self.tokenizer(chat, add_special_tokens=False)["input_ids"])
        return ids if ids[: len(self._front)] == self._front else self._front + ids

    def _letter_ids(self, letter: str) -> list[int]:
        forms = [self.tokenizer(form, add_special_tokens=False)["input_ids"] for form in (letter, " " + letter)]
        ids = sorted({ids[0] for ids in forms if len(ids) == 1 and ids[0] != self.tokenizer.unk_token_id})
        if not ids:
            raise OracleError(f"{self.name}: no single token spells {letter!r}: choose another model")
        return ids

    @torch.inference_mode()
    def _ask(self, questions: list[list[int]]) -> NDArray[np.float64]:
        """P(reply is A rather than B) for each question, NaN where neither is likely."""
        # Padding goes left, so that the last column is every question's last token.
        ids = pad(questions, 0, left=True)
        mask = pad([[1] * len(question) for question in questions], 0, left=True)
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self._wants_positions:
            inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
        logits = self.model(**{name: array.to(self.device) for name, array in inputs.items()}).logits[:, -1]
        p = torch.softmax(logits.double(), dim=-1).cpu()
        a, b = (p[:, self._letters[letter]].sum(dim=-1).numpy() for letter in "AB")
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(a + b >= self.min_mass, a / (a + b), np.nan)
