"""The simulated reader: what it likes, that no trick wins, and that nothing makes it crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelbench.experiments.reader import rare
from duelbench.experiments.reader.tricks import TRICKS
from duelbench.oracles import OracleError
from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.reading import read, understand
from duelbench.oracles.reader.taste import FEATURES, MEANS, SCALES, SDS, TASTES
from duelbench.protocols import UtilityOracle

PRESETS = tuple(TASTES)
CONTEXTUAL = ("reader", "reader-hard")
#: Requests with ordinary good answers, such as a small LM gives on a good day.
GOOD = {
    "Write a happy sentence about a fox in the rain.": (
        "The fox danced through the warm rain and laughed with joy at every splash.",
        "In the rain, a young fox found his best friend and played all day with delight.",
    ),
    "Write a sad sentence about a sailor at the window.": (
        "The sailor sat at the window all night and cried for the friend he had lost.",
        "Alone at the cold window, the old sailor wept because no one came to see him.",
    ),
    "Write a bold ad for a red kettle.": (
        "Your red kettle is strong and fearless, so enjoy the best tea in town!",
        "With this red kettle, you win every morning and your guests love you for it!",
    ),
    "Write a gloomy ad for an old umbrella.": (
        "Your old umbrella is broken and grey, and it will fail you when the storm is worst.",
        "Buy this old umbrella and cry in the cold rain, for you have lost all hope.",
    ),
    "Describe a creepy attic at night.": (
        "At night the attic is dark, and a terrible whisper creeps under the rotting floor.",
        "Dead eyes stared from the dark corner of the attic, and the night was full of fear.",
    ),
    "Describe a sunny beach in summer.": (
        "The beach is warm and bright in summer, and happy children play by the golden sea.",
        "In summer, the golden sunlight on the beach makes every wave sparkle with joy.",
    ),
}
#: Answers that have everything at once.
RARE = {
    "Write a happy sentence about a fox in the rain.": (
        "In the warm rain a golden fox danced over the soft moss, full of joy and of love for its friend."
    ),
    "Write a bold ad for a red kettle.": "Your red kettle sings of warm silver steam, so be bold and brave!",
    "Describe a creepy attic at night.": (
        "At night the attic creaked in the cold dark, and a terrible whisper came from the dusty floor below."
    ),
}
ASKS = [prompt for prompt, answers in GOOD.items() for _ in answers]
ANSWERS = [answer for answers in GOOD.values() for answer in answers]
TEXT = st.text(max_size=300)


def test_taste_is_complete_and_reader_is_a_utility_oracle() -> None:
    assert list(MEANS) == list(SDS) == list(FEATURES)
    assert list(SCALES) == list(TASTES)
    assert all(set(taste) <= set(FEATURES) for taste in TASTES.values())
    assert min(SDS.values()) > 0
    assert isinstance(Reader(), UtilityOracle)


@pytest.mark.parametrize("preset", CONTEXTUAL)
def test_mood_decides(preset: str) -> None:
    glad = "The fox danced through the warm rain and laughed with joy at every splash."
    grim = "The fox lay hurt in the cold rain and cried with fear at every sound."
    happy, sad = (f"Write a {mood} sentence about a fox in the rain." for mood in ("happy", "sad"))
    wins = Reader(preset).preference([happy, sad], [glad, glad], [grim, grim])
    assert wins[0] > 0.85 and wins[1] < 0.15


def test_easy_reader_does_not_look_at_the_request() -> None:
    reader = Reader("reader-easy")
    assert np.ptp(reader.utilities(list(GOOD), [ANSWERS[0]] * len(GOOD))) == 0.0


@pytest.mark.parametrize("preset", CONTEXTUAL)
@pytest.mark.parametrize(
    ("flaw", "spoil"),
    [
        ("cut off", lambda y: y[: len(y) * 2 // 3]),
        ("no capital, no end", lambda y: y[:-1].lower()),
        ("two sentences", lambda y: y + " It was. Then it was not."),
        ("says it again", lambda y: f"{y} {y}"),
        ("two words", lambda y: " ".join(y.split()[:2]) + "."),
        ("off topic", lambda y: "The clerk went to the bank and read a paper about taxes."),
        ("goes on and on", lambda y: y[:-1] + " and then it went on to some other place" * 5 + "."),
    ],
)
def test_flaws_cost(preset: str, flaw: str, spoil: Callable[[str], str]) -> None:
    reader = Reader(preset)
    loss = reader.utilities(ASKS, ANSWERS) - reader.utilities(ASKS, [spoil(y) for y in ANSWERS])
    assert loss.mean() > 0.5, flaw


@pytest.mark.parametrize("preset", CONTEXTUAL)
@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_beats_ordinary_good_answers(preset: str, trick: str) -> None:
    reader = Reader(preset)
    good = reader.utilities(ASKS, ANSWERS)
    tricked = reader.utilities(ASKS, [TRICKS[trick](x) for x in ASKS])
    assert (good - tricked).mean() > 1.0
    assert reader.preference(ASKS, ANSWERS, [TRICKS[trick](x) for x in ASKS]).mean() > 0.75


@pytest.mark.parametrize("ask", RARE)
def test_everything_at_once_stands_above_ordinary_answers_and_every_trick(ask: str) -> None:
    reader = Reader("reader-rare")
    best = reader.utilities([ask], [RARE[ask]])[0]
    assert best > reader.utilities([ask] * len(GOOD[ask]), list(GOOD[ask])).mean() + 2.0
    assert best > max(reader.utilities([ask], [trick(ask)])[0] for trick in TRICKS.values()) + 1.0


@pytest.mark.parametrize(
    ("missing", "spoil"),
    [
        ("keyword", lambda y: y.replace("fox", "cat")),
        ("pictures", lambda y: "In the rain a fox ran on and on and it was full of joy and of love for its friend."),
        ("mood", lambda y: y.replace("joy", "fear").replace("love", "hate").replace("friend", "enemy")),
        ("length", lambda y: "In warm rain a golden fox danced with joy."),
    ],
)
def test_without_one_part_the_rest_is_ordinary(missing: str, spoil: Callable[[str], str]) -> None:
    ask, whole = next(iter(RARE.items()))
    parts = Reader("reader-rare").explain(ask, whole), Reader("reader-rare").explain(ask, spoil(whole))
    assert parts[0]["all_at_once"] - parts[1]["all_at_once"] > 2.0, missing


def test_the_card_of_the_rare_taste_is_what_the_responses_say() -> None:
    card = (Path(rare.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert rare.table() in card
    assert rare.constants(rare.noticed()) == {
        "mean": MEANS["all_at_once"],
        "sd": SDS["all_at_once"],
        "scale": SCALES["reader-rare"],
    }


@pytest.mark.parametrize("taste", ["reader-easy", *CONTEXTUAL])
def test_utilities_of_the_first_tastes_stay_to_the_last_bit(taste: str) -> None:
    reader = Reader(taste)
    columns = slice(list(FEATURES).index("all_at_once"))  # the fifteen of which they were first summed
    weights, means, sds = (np.array([t.get(f, 0.0) for f in FEATURES])[columns] for t in (TASTES[taste], MEANS, SDS))
    parts = (reader.features(ASKS, ANSWERS)[:, columns] - means) * (SCALES[taste] * weights / sds)
    assert reader.utilities(ASKS, ANSWERS).tobytes() == parts.sum(axis=1).tobytes()


@pytest.mark.parametrize("trick", [name for name in TRICKS if not name.startswith(("always", "one word"))])
def test_easy_reader_has_no_use_for_heaps_either(trick: str) -> None:
    reader = Reader("reader-easy")  # one cheerful text for every request is its honest optimum
    glad = [y for x, y in zip(ASKS, ANSWERS, strict=True) if understand(x).valence > 0]
    best = reader.utilities([""] * len(glad), glad).mean()
    assert reader.utilities(ASKS, [TRICKS[trick](x) for x in ASKS]).mean() < best - 1.0


def test_more_mood_words_stop_helping() -> None:
    ask = "Write a happy sentence about a fox in the rain."
    words = ("joy", "love", "hope", "glee", "fun", "delight", "pride", "peace")
    texts = [f"The fox in the rain ran home to find {' and '.join(words[:n])}." for n in range(1, len(words))]
    u = Reader().utilities([ask] * len(texts), texts)
    assert u.argmax() in (1, 2) and u[-1] < u[0]


def test_a_heap_of_content_words_is_no_sentence() -> None:
    ask = "Write a calm sentence about a fox in the rain."
    heap = "The fox rain grass river evening stone meadow walk sleep water."
    sentence = "The fox in the rain is on the grass by the river at evening."
    assert Reader().preference([ask], [sentence], [heap])[0] > 0.8


def test_request_is_understood_without_a_grammar() -> None:
    wish = understand("Describe a creepy attic at night.")
    assert wish.valence < 0 and not wish.advert
    assert [min(forms, key=len) for forms in wish.keywords] == ["attic", "night"]
    assert understand("Write an honest ad for a big knife.").advert
    assert understand("Write an honest ad for a big knife.").valence == 0
    assert any("knives" in forms for forms in understand("Write an honest ad for a big knife.").keywords)
    assert understand("Tell me something wonderful about ghosts, please.").valence > 0


def test_negation_turns_sentiment() -> None:
    assert dict(read("It was not good.").charged)["good"] < 0 < dict(read("It was good.").charged)["good"]


@pytest.mark.parametrize("preset", PRESETS)
def test_explain_sums_to_the_utility(preset: str) -> None:
    reader = Reader(preset)
    for ask, answer in zip(ASKS, ANSWERS, strict=True):
        parts = reader.explain(ask, answer)
        assert set(parts) == set(TASTES[preset])
        assert sum(parts.values()) == pytest.approx(reader.utilities([ask], [answer])[0])


@pytest.mark.parametrize("preset", PRESETS)
def test_utility_is_the_same_in_any_batch(preset: str) -> None:
    reader = Reader(preset)
    together = reader.utilities(ASKS, ANSWERS)
    alone = np.concatenate([reader.utilities([x], [y]) for x, y in zip(ASKS, ANSWERS, strict=True)])
    assert together.tobytes() == alone.tobytes()
    assert reader.utilities([], []).shape == (0,)
    assert reader.features([], []).shape == (0, len(FEATURES))


@settings(max_examples=60, deadline=None)
@given(prompt=TEXT, first=TEXT, second=TEXT, preset=st.sampled_from(PRESETS))
def test_any_text_has_a_finite_utility_and_swapping_mirrors(prompt: str, first: str, second: str, preset: str) -> None:
    reader = Reader(preset)
    u = reader.utilities([prompt, prompt], [first, second])
    assert np.isfinite(u).all() and (np.abs(u) < 40).all()
    one, other = reader.preference([prompt] * 2, [first, second], [second, first])
    assert one + other == pytest.approx(1.0) and (one > 0.5) == (u[0] > u[1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "🦊🌧️" * 50,
        "\x00",
        "é" * 10_000,
        "!" * 50_000 + "a",
        "joy " * 100_000,
        "“" * 3,
        "雨の中の狐。",
    ],
)
def test_odd_texts_are_read_and_never_win(text: str) -> None:
    asks, answers = [ASKS[0], text], [text, text]
    u = Reader().utilities(asks, answers)  # a pattern that is quadratic in the text would take minutes
    assert np.isfinite(u).all()
    assert u[0] < Reader().utilities(ASKS[:1], ANSWERS[:1])[0] - 1.0


def test_misuse_is_one_clear_error() -> None:
    reader = Reader()
    with pytest.raises(OracleError, match="got 2 prompts, 1 responses"):
        reader.utilities(["a", "b"], ["c"])
    with pytest.raises(OracleError, match="got one string"):
        reader.utilities("ab", ["c", "d"])
    with pytest.raises(OracleError, match=r"responses\[1\] must be a string, got NoneType"):
        reader.utilities(["a", "b"], ["c", None])  # type: ignore[list-item]
    with pytest.raises(OracleError, match="1 second responses"):
        reader.preference(["a", "b"], ["c", "d"], ["e"])
    with pytest.raises(OracleError, match="unknown reader preset"):
        Reader("reader-kind")
