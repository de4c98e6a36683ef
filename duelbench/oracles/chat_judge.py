"""A chat model behind an HTTP endpoint as judge: ``judge:http://localhost:8000/v1#MODEL``.

Each duel is asked in both orders. A verdict that turns round with the order is a tie, and counted; a reply that names
no answer is no verdict, and counted too. No number is ever made up: an endpoint that is down stops the run with what
has been answered safe, and the same command goes on.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.chat.endpoint import ChatEndpoint, Connection, Reply
from duelbench.conversation import transcript
from duelbench.errors import UnansweredError
from duelbench.oracles.checks import OracleError, check_texts
from duelbench.oracles.question import TEMPLATE, check_template, read_verdict

_log = logging.getLogger(__name__)

Shown = tuple[str, str, str]
"""Prompt, answer A and answer B."""
_ALIVE = "Reply with the letter A only."


@dataclass
class JudgeCounts:
    """What a judge did so far.

    Attributes:
        asked: duels with an outcome: a verdict, or none.
        flipped: duels whose verdict turned round with the order of the answers.
        unreadable: duels in which a reply named no answer.
        refused: duels in which the endpoint had no reply to give, though it answered others.
        replies: replies that named an answer, or a tie.
        chose_first: those of them that named the answer shown first, ties half; half of all without position bias.
        read: tokens of the questions.
        written: tokens of the replies.
        requests: HTTP requests, repeated ones included.
    """

    asked: int = 0
    flipped: int = 0
    unreadable: int = 0
    refused: int = 0
    replies: int = 0
    chose_first: float = 0.0
    read: int = 0
    written: int = 0
    requests: int = 0


class ChatJudge:
    """Pairwise judgement by a chat model, free of position bias by asking twice.

    Answers 1.0 or 0.0 where both orders name the same response, 0.5 where they do not or both say tie, NaN where a
    reply could not be read.

    Args:
        target: ``URL#MODEL``, the URL up to and including the version.
        template: the question, with the fields {prompt}, {a} and {b}.
        max_new_tokens: the most tokens of a reply; a model that thinks aloud needs thousands.
        temperature: sampling temperature; 0 takes the likeliest token.
        connection: fields of ``duelbench.chat.endpoint.Connection``; how the endpoint is reached is no part of a run's
            identity.

    Attributes:
        counts: what it did so far.
        portion: duels it wants at once, see ``duelbench.records.answers.journaled_oracle.portion``.

    Raises:
        OracleError: no model is named, or an argument is out of range.
    """

    gives_verdicts = True

    def __init__(
        self,
        target: str,
        *,
        template: str = TEMPLATE,
        max_new_tokens: int = 16,
        temperature: float = 0.0,
        connection: Mapping[str, Any] | None = None,
    ) -> None:
        url, _, model = target.partition("#")
        self.name = f"judge:{target}"
        if not model:
            raise OracleError(
                f"oracle {self.name!r}: expected judge:URL#MODEL, as in judge:http://localhost:8000/v1#qwen"
            )
        check_template(self.name, template)
        try:
            reached = Connection(**(connection or {}))
            self.chat = ChatEndpoint(
                url, model, max_new_tokens=max_new_tokens, temperature=temperature, connection=reached
            )
        except (TypeError, ValueError) as error:
            raise OracleError(f"oracle {self.name!r}: {error}") from error
        self.template, self.portion = template, reached.concurrency
        self.counts = JudgeCounts()
        self._kept: dict[Shown, float | None] = {}  # verdicts of a call that could not be finished
        self._flipped: set[Shown] = set()
        self._lock = threading.Lock()

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """1.0, 0.5 or 0.0 as the first response is preferred, (n,); NaN where the judge gave no verdict.

        Raises:
            OracleError: unequal lengths or entries that are no strings.
            UnansweredError: the endpoint is down. What it answered before is kept: asked for again, it costs nothing.
        """
        check_texts(self.name, prompts, firsts, seconds)
        duels = list(zip(prompts, firsts, seconds, strict=True))
        with self._lock:
            down = self._ask([shown for x, y, z in dict.fromkeys(duels) for shown in ((x, y, z), (x, z, y))])
            answered = [duel for duel in duels if duel in self._kept and _turned(duel) in self._kept]
            if down is not None:
                raise UnansweredError(down, frozenset(answered))
            self._flipped.clear()
            verdicts = {duel: self._joined(duel) for duel in dict.fromkeys(duels)}
            for duel in verdicts:
                self._kept.pop(duel, None)
                self._kept.pop(_turned(duel), None)
        return np.array([verdicts[duel] for duel in duels], np.float64)

    def flips(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.bool_]:
        """Of the duels that were answered last, whether the verdict turned round with the order, (n,)."""
        return np.array([duel in self._flipped for duel in zip(prompts, firsts, seconds, strict=True)], bool)

    def _ask(self, shown: Sequence[Shown]) -> str | None:
        """Keep what comes back to questions that have no reply yet; returns why some have none, if it is down."""
        new = [one for one in dict.fromkeys(shown) if one not in self._kept]
        questions = [self.template.format(prompt=transcript(x), a=a, b=b) for x, a, b in new]
        before = self.chat.requests
        replies = dict(zip(new, self.chat.ask(questions, self._seeds(questions)), strict=True))
        failed = {one: reply for one, reply in replies.items() if reply.text is None}
        down = bool(failed) and not self._alive(failed, replies)
        for one, reply in replies.items():
            if reply.text is not None:
                self._kept[one] = read_verdict(reply.text)
                self.counts.read += reply.read
                self.counts.written += reply.written
            elif not down:
                self._kept[one] = np.nan
        self.counts.requests += self.chat.requests - before
        reason = next((reply.failure for reply in failed.values()), "")
        if failed and not down:
            _log.warning("%s: no reply to %d of %d questions, first: %s", self.name, len(failed), len(new), reason)
        return reason if down else None

    def _alive(self, failed: Mapping[Shown, Reply], replies: Mapping[Shown, Reply]) -> bool:
        """Whether the endpoint answers others: then the questions that failed are at fault, and not it."""
        last = max(reply.ended for reply in failed.values())
        if any(reply.ended > last for reply in replies.values() if reply.text is not None):
            return True
        return self.chat.ask([_ALIVE], self._seeds([_ALIVE]))[0].text is not None

    def _seeds(self, questions: Sequence[str]) -> list[int]:
        """The same question is always sampled with the same seed."""
        if not self.chat.temperature:
            return []
        return [int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:3]) for text in questions]

    def _joined(self, duel: Shown) -> float:
        """The verdict of both orders."""
        one, other = self._kept[duel], self._kept[_turned(duel)]
        self.counts.asked += 1
        for verdict in (one, other):
            if verdict is not None and not np.isnan(verdict):
                self.counts.replies += 1
                self.counts.chose_first += verdict
        if any(verdict is not None and np.isnan(verdict) for verdict in (one, other)):
            self.counts.refused += 1
            return np.nan
        if one is None or other is None:
            self.counts.unreadable += 1
            return np.nan
        if one + other == 1.0:
            return one
        if abs(one + other - 1.0) == 1.0:  # the same letter twice; a tie in one order is no flip
            self.counts.flipped += 1
            self._flipped.add(duel)
        return 0.5

    def state_dict(self) -> dict[str, Any]:
        """What was counted so far."""
        return asdict(self.counts)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self.counts = JudgeCounts(**state)


def _turned(shown: Shown) -> Shown:
    prompt, a, b = shown
    return prompt, b, a
