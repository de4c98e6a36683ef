"""The default oracle: a simulated reader with an interpretable taste.

    u(x, y) = scale * sum_f weight_f * (feature_f(x, y) - mean_f) / sd_f

Every feature is a plain question about the text (`FEATURES`), every number is in `duelbench.oracles.reader.taste`;
`Reader.explain` shows what each part of the taste contributed. There is no randomness: noise is added by the
environment. The reader is no claim about people; it is a taste whose truth is known, so that regret is exact.

Three presets, easy to hard, and one in which good answers are rare:

* ``reader-easy``: context-free. Likes cheerful, vivid, well-measured sentences whatever was asked.
* ``reader``: contextual. The mood asked for decides; the topic must be there, the form must be whole.
* ``reader-hard``: contextual with interactions, thresholds and diminishing returns. The tone must be as
  strong as asked and counts only on topic, pictures count only in the right mood, all keywords or no credit,
  and the right length depends on the request.
* ``reader-rare``: a few per cent of a language model's answers have everything at once, the tone, all keywords,
  pictures in the mood and the right length. They stand far above the rest, which differ little.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from duelbench.oracles.checks import OracleError, bradley_terry, check_texts
from duelbench.oracles.reader.reading import Reading, Wish, read, understand
from duelbench.oracles.reader.taste import FEATURES, MEANS, SCALES, SDS, TASTES

_VADER_ALPHA = 15.0  # VADER squashes a valence sum v to v / sqrt(v^2 + 15)
_STRONG = 2.5  # valence of a mood ("happy", "hopeful") that wants the strongest tone
_ENOUGH_CHARGED = 3  # a sentence carries three words with a valence before it feels overdone
_ENOUGH_RUN = 4  # content words in a row before a heap of words stops reading as a sentence


class Reader:
    """A reader with a fixed taste; satisfies `duelbench.protocols.UtilityOracle`.

    Example:
        >>> reader = Reader()
        >>> ask = "Write a happy sentence about a fox in the rain."
        >>> good = "The fox danced through the warm rain, laughing with joy at every splash."
        >>> bad = "The road was closed and everyone was angry"
        >>> bool(reader.preference([ask], [good], [bad])[0] > 0.9)
        True
    """

    prefers_by_utility = True
    free = True  # a simulation: its questions cost nothing

    def __init__(self, preset: str = "reader") -> None:
        """Choose a taste.

        Args:
            preset: "reader-easy", "reader", "reader-hard" or "reader-rare".

        Raises:
            OracleError: there is no such preset.
        """
        if preset not in TASTES:
            raise OracleError(f"unknown reader preset {preset!r}: choose one of {', '.join(TASTES)}")
        self.name = preset
        self.preset = preset
        weights = np.array([TASTES[preset].get(name, 0.0) for name in FEATURES])
        self._slope = SCALES[preset] * weights / np.array([SDS[name] for name in FEATURES])  # (F,)
        self._mean = np.array([MEANS[name] for name in FEATURES])  # (F,)

    def features(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """What the reader noticed about n (prompt, response) texts, (n, F), in the order of `FEATURES`.

        Raises:
            OracleError: unequal lengths or entries that are no strings.
        """
        check_texts(self.name, prompts, responses)
        rows = [_notice(understand(x), read(y)) for x, y in zip(prompts, responses, strict=True)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """u(x, y) of n (prompt, response) texts, (n,): Bradley–Terry utilities at temperature 1.

        A text's utility does not depend, to the last bit, on the batch it came in.
        """
        parts = (self.features(prompts, responses) - self._mean) * self._slope  # (n, F)
        return np.asarray(parts[:, :-1].sum(axis=1) + parts[:, -1])  # the order decides the last bit; runs rest on it

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,): Bradley–Terry at temperature 1."""
        check_texts(self.name, prompts, firsts, seconds)
        return bradley_terry(self.utilities(prompts, firsts), self.utilities(prompts, seconds))

    def explain(self, prompt: str, response: str) -> dict[str, float]:
        """How much each feature of the taste added to u(x, y); the values sum to the utility."""
        parts = (self.features([prompt], [response])[0] - self._mean) * self._slope
        taste = TASTES[self.preset]
        return {name: float(part) for name, part in zip(FEATURES, parts, strict=True) if name in taste}


def _notice(wish: Wish, text: Reading) -> tuple[float, ...]:
    """One row of features, in the order of `FEATURES`."""
    sentiment = _squash(sum(value for _, value in text.charged))
    # Words copied from the request say nothing about the answer's own mood: only the others count.
    own = _squash(sum(value for word, value in text.charged if word not in wish.words))
    sign = float(np.sign(wish.valence))
    mood = 1.0 - abs(sign - own)
    tone = max(0.0, 1.0 - abs(0.8 * max(-1.0, min(1.0, wish.valence / _STRONG)) - own))
    mentioned = sum(not forms.isdisjoint(text.words) for forms in wish.keywords)
    topic = mentioned / len(wish.keywords) if wish.keywords else 1.0
    covers = float(mentioned == len(wish.keywords))
    vivid = 1.0 - 0.5 ** len(text.senses - wish.words)
    vivid_in_mood = vivid if mood > 0.3 else 0.0
    crowding = max(0, text.n_charged - _ENOUGH_CHARGED) + max(0, text.longest_run - _ENOUGH_RUN)
    address = float(text.speaks) if wish.advert else float(not (text.speaks or text.narrates))
    tone_on_topic = (topic * tone) ** 0.5
    fitting_length = _band(text.length, 7, 12) if wish.advert else _band(text.length, 13, 20)
    return (
        sentiment,
        mood,
        topic,
        text.complete,
        _band(text.length, 10, 18),
        vivid,
        address,
        text.repetition,
        min(1.0, crowding / 4),
        min(1.0, len(wish.task_words & text.words) / 2),
        tone_on_topic,
        covers,
        vivid_in_mood,
        fitting_length,
        float(text.complete == 1.0),
        tone_on_topic * covers * vivid_in_mood * fitting_length,
    )


def _squash(valence: float) -> float:
    return float(valence / (valence * valence + _VADER_ALPHA) ** 0.5)


def _band(length: int, low: int, high: int) -> float:
    """1 inside the band, falling smoothly to 0 about eight words outside it."""
    outside = max(low - length, length - high, 0)
    return float(2.0 ** -((outside / 3.0) ** 2))
