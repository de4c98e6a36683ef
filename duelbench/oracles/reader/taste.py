"""The numbers of the simulated reader's taste: features, weights, standardisation.

`MEANS`, `SDS` and `SCALES` were measured by ``experiments/reader/calibrate.py`` on answers of the embedded LM's
teacher; the README there says how. Those of `reader-rare` and of ``all_at_once``, the feature that it alone reads, are
from ``experiments/reader/rare.py``. All are frozen: a changed number is a different oracle and needs a new name in
published results.
"""

from __future__ import annotations

#: Features in the order of the columns of `Reader.features`, and the question each of them asks.
FEATURES: dict[str, str] = {
    "sentiment": "how cheerful is the text, whatever was asked? -1 to 1",
    "mood": "does the text's own sentiment fit the mood asked for? 1 - |sign - sentiment|, -1 to 1",
    "topic": "what share of the request's content words is mentioned?",
    "complete": "is it one whole sentence? share of: capital, end mark, only one, paired quotes, five words",
    "length": "is it 10 to 18 words long? 1 inside, falling to 0 about 8 words outside",
    "vivid": "does it name things seen, heard, felt, smelt, tasted? 1 - 1/2^count",
    "address": "does an advertisement speak to its reader, and does any other text keep I and you out?",
    "repetition": "what share of content words and word pairs repeats earlier ones?",
    "crowding": "does it pile up charged words (over 3) or content words in a row (over 4)? 0 to 1",
    "telling": "does it repeat the request's task and mood words instead of showing the mood? 0 to 1",
    "tone_on_topic": "hard: is the tone as strong as asked, and on topic? sqrt(topic * tone)",
    "covers": "hard: are all content words of the request mentioned? 0 or 1",
    "vivid_in_mood": "hard: pictures count only when the mood fits (over 0.3)",
    "fitting_length": "hard: 7 to 12 words for an advertisement, 13 to 20 for anything else",
    "flawless": "hard: are all five marks of a whole sentence there? 0 or 1",
    "all_at_once": "rare: tone_on_topic, covers, vivid_in_mood and fitting_length together? their product",
}

#: Weights on standardised features. A preset reads only the features named here.
TASTES: dict[str, dict[str, float]] = {
    "reader-easy": {
        "sentiment": 0.8,
        "complete": 0.5,
        "length": 0.7,
        "vivid": 0.5,
        "repetition": -0.3,
        "crowding": -0.6,
    },
    "reader": {
        "mood": 0.9,
        "topic": 0.5,
        "complete": 0.4,
        "length": 0.5,
        "vivid": 0.5,
        "address": 0.4,
        "repetition": -0.3,
        "crowding": -0.4,
        "telling": -0.2,
    },
    "reader-hard": {
        "tone_on_topic": 1.0,
        "covers": 0.4,
        "vivid_in_mood": 0.5,
        "fitting_length": 0.4,
        "flawless": 0.4,
        "address": 0.3,
        "repetition": -0.3,
        "crowding": -0.4,
        "telling": -0.2,
    },
    "reader-rare": {
        "all_at_once": 1.0,
        "mood": 0.3,
        "topic": 0.2,
        "complete": 0.1,
        "length": 0.2,
        "vivid": 0.2,
        "address": 0.1,
        "repetition": -0.1,
        "crowding": -0.1,
        "telling": -0.1,
    },
}

MEANS: dict[str, float] = {
    "sentiment": 0.172,
    "mood": 0.362,
    "topic": 0.863,
    "complete": 0.977,
    "length": 0.786,
    "vivid": 0.188,
    "address": 0.804,
    "repetition": 0.053,
    "crowding": 0.03,
    "telling": 0.12,
    "tone_on_topic": 0.703,
    "covers": 0.74,
    "vivid_in_mood": 0.116,
    "fitting_length": 0.719,
    "flawless": 0.935,
    "all_at_once": 0.046,
}
SDS: dict[str, float] = {
    "sentiment": 0.313,
    "mood": 0.304,
    "topic": 0.215,
    "complete": 0.09,
    "length": 0.336,
    "vivid": 0.255,
    "address": 0.34,
    "repetition": 0.097,
    "crowding": 0.115,
    "telling": 0.188,
    "tone_on_topic": 0.224,
    "covers": 0.392,
    "vivid_in_mood": 0.226,
    "fitting_length": 0.357,
    "flawless": 0.239,
    "all_at_once": 0.138,
}
SCALES: dict[str, float] = {
    "reader-easy": 0.749,
    "reader": 0.736,
    "reader-hard": 0.687,
    "reader-rare": 0.735,
}
