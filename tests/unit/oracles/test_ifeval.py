"""IFEval's instructions: hand cases, and the published checkers on random texts full of what they look for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from duelbench.oracles import OracleError, make_oracle
from duelbench.oracles.ifeval import instructions
from duelbench.oracles.ifeval.ifeval import Example, IFEvalOracle
from duelbench.oracles.ifeval.instructions import INSTRUCTIONS, LANGUAGE_INSTRUCTIONS, follows, sentences
from duelbench.protocols import UtilityOracle

#: instruction, arguments, a text that follows it, one that does not
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["fox", "rain"]}, "The FOX met Rain.", "The fox is dry."),
    ("keywords:frequency", {"keyword": "fox", "frequency": 2, "relation": "at least"}, "Fox, foxes!", "A fox."),
    ("keywords:frequency", {"keyword": "fox", "frequency": 2, "relation": "less than"}, "A fox.", "fox fox"),
    ("keywords:forbidden_words", {"forbidden_words": ["fox"]}, "Foxes run.", "A Fox runs."),
    ("keywords:letter_frequency", {"letter": "a", "let_frequency": 3, "let_relation": "at least"}, "A banana", "an"),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, "# #", "#"),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "Dr. Who left. Why?",
        "He left. Why? Nobody knows!",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One.\n***\nTwo.", "One.\n***\n***\nTwo."),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one, two: three", "one, two"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Fox"},
        'One.\n\n"Fox" it is.',
        "One.\n\nA fox.",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [place]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye. p.p. s. Love", "Bye. P.S. Love"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye. P. S. Love", "Bye. PS Love"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n- two", "* one\n** two"),
    ("detectable_format:constrained_response", {}, "Well: My answer is no.", "My answer is never."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and *two*", "*one* and * *"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1 a SECTION 2 b",
        "SECTION 1 a Section 2 b",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ("detectable_format:title", {}, "<<A title>>\ntext", "<<  >>"),
    ("combination:two_responses", {}, "one ****** two", "one ****** one"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi. "}, " say hi. Hi!", "Hi!"),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, '"Bye. any questions?"', "Any questions? No."),
    ("startend:quotation", {}, ' "quoted" ', '"'),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "NASA saw MARS.",
        "NASA saw Mars.",
    ),
    ("punctuation:no_comma", {}, "a; b", "a, b"),
]


@pytest.mark.parametrize(("name", "arguments", "good", "bad"), CASES)
def test_what_follows_and_what_does_not(name: str, arguments: dict[str, Any], good: str, bad: str) -> None:
    assert follows(name, good, arguments) and not follows(name, bad, arguments)
    assert not follows(name, " \n", arguments)


def test_every_instruction_has_a_case_and_only_three_need_to_know_the_language() -> None:
    assert {case[0] for case in CASES} | LANGUAGE_INSTRUCTIONS == set(INSTRUCTIONS)
    assert len(INSTRUCTIONS) == 25


def test_an_unknown_relation_is_an_error() -> None:
    with pytest.raises(ValueError, match="'less than' or 'at least', got 'more than'"):
        follows("length_constraints:number_words", "one", {"num_words": 1, "relation": "more than"})


def test_language_and_case_are_asked_of_the_detector() -> None:
    german = "language:response_language", "Hallo Welt", {"language": "de"}
    assert follows(*german, lambda text: "de") and not follows(*german, lambda text: "en")
    assert follows(*german, lambda text: None)  # a text without letters is in any language, as published
    for name, text in (("change_case:english_capital", "HELLO"), ("change_case:english_lowercase", "hello")):
        assert follows(name, text, {}, lambda text: "en") and not follows(name, text, {}, lambda text: "fr")
        assert not follows(name, text.swapcase(), {}, lambda text: "en")


def test_langdetect_sees_languages_and_says_the_same_again() -> None:
    pytest.importorskip("langdetect")
    detect = instructions.language_detector()
    assert detect("Der Fuchs lief durch den Regen und war bald nass.") == "de"
    assert detect("यह एक अच्छा दिन है और हम बाहर जा रहे हैं।") == "hi"
    assert detect("12 34 !?") is None
    unclear = "no si la"
    assert len({detect(unclear) for _ in range(20)}) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", 3),
        ('He said "Go." Then he left.', 2),
        ("Mr. Fox met Dr. Owl, e.g. at noon.", 1),
        ("J. R. Fox paid 3.50 for it", 1),
        ("Wait... what?! No", 3),
        ("", 0),
    ],
)
def test_sentences_by_hand(text: str, expected: int) -> None:
    assert len(sentences(text)) == expected


# ---- against others

WORDS = (
    "fox",
    "rain",
    "the",
    "a",
    "Weekend",
    "SECTION",
    "Section",
    "NASA",
    "U.S.",
    "I'M",
    "don't",
    "DON'T",
    "well-known",
    "Über",
    "it's",
    "3.5",
    "7",
    "%",
    "(",
    ")",
)
MARKS = (
    ". ",
    "! ",
    "? ",
    ", ",
    "\n",
    "\n\n",
    "***",
    "\n***\n",
    "******",
    "\n* point",
    "\n- point",
    " *bold* ",
    " **b** ",
    "* *",
    "[name]",
    "[",
    "]",
    "<<Title>>",
    "<< >>",
    "P.S.",
    "p.p.s",
    "P. S. ",
    '"',
    "'",
    "Section 1 ",
    "SECTION 2\n",
    "My answer is no.",
    "```json",
    "```",
    '{"a": [1]}',
    "Any questions?",
    "fox. ",
    "Foxes",
    "#",
    "# #",
    "...",
)
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "keywords:existence": [{"keywords": ["fox", "rain"]}, {"keywords": ["weekend"]}],
    "keywords:frequency": [
        {"keyword": "fox", "frequency": n, "relation": r} for n in (1, 2, 4) for r in ("less than", "at least")
    ],
    "keywords:forbidden_words": [{"forbidden_words": ["fox", "nasa"]}, {"forbidden_words": ["rain"]}],
    "keywords:letter_frequency": [
        {"letter": "a", "let_frequency": n, "let_relation": r} for n in (1, 4, 9) for r in ("less than", "at least")
    ],
    "length_constraints:number_paragraphs": [{"num_paragraphs": n} for n in (1, 2, 3)],
    "length_constraints:number_words": [
        {"num_words": n, "relation": r} for n in (5, 10, 20) for r in ("less than", "at least")
    ],
    "length_constraints:nth_paragraph_first_word": [
        {"num_paragraphs": p, "nth_paragraph": n, "first_word": w}
        for p, n in ((1, 1), (2, 1), (2, 2), (3, 2))
        for w in ("fox", "Weekend", "the")
    ],
    "detectable_content:number_placeholders": [{"num_placeholders": n} for n in (1, 2)],
    "detectable_content:postscript": [{"postscript_marker": m} for m in ("P.S.", "P.P.S")],
    "detectable_format:number_bullet_lists": [{"num_bullets": n} for n in (1, 2, 3)],
    "detectable_format:number_highlighted_sections": [{"num_highlights": n} for n in (1, 2, 3)],
    "detectable_format:multiple_sections": [
        {"section_spliter": s, "num_sections": n} for s in ("Section", "SECTION") for n in (1, 2)
    ],
    "combination:repeat_prompt": [{"prompt_to_repeat": p} for p in ("fox", "The", "Section 1")],
    "startend:end_checker": [{"end_phrase": p} for p in ("Any questions?", "fox.", "the")],
    "change_case:capital_word_frequency": [
        {"capital_frequency": n, "capital_relation": r} for n in (1, 2, 4) for r in ("less than", "at least")
    ],
    "language:response_language": [{"language": "de"}, {"language": "en"}],
}


def random_texts(n: int, seed: int) -> list[str]:
    """Texts in which every instruction is sometimes followed and sometimes not."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(n):
        pieces = [
            str(rng.choice(MARKS)) if rng.random() < 0.3 else f"{rng.choice(WORDS)} "
            for _ in range(rng.integers(1, 25))
        ]
        text = "".join(pieces)
        kind = rng.integers(8)
        texts.append([text.upper(), text.lower(), f'"{text}"', "".join(pieces[:2])][kind] if kind < 4 else text)
    return texts


def published(name: str, text: str, arguments: dict[str, Any]) -> bool:
    registry = pytest.importorskip("if_verifiable.ifeval.instructions_registry")
    checker = registry.INSTRUCTION_DICT[name](name)
    checker.build_description(**arguments)
    return bool(text.strip() and checker.check_following(text))


@pytest.mark.parametrize("name", sorted(set(INSTRUCTIONS) - {"length_constraints:number_sentences"}))
def test_the_published_checkers_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("if_verifiable")
    import langdetect
    import nltk

    # their detector is random unless seeded; their tokenizer asks for punkt, a download, only to cut sentences first
    monkeypatch.setattr(langdetect.DetectorFactory, "seed", 0)
    words = nltk.word_tokenize
    monkeypatch.setattr(nltk, "word_tokenize", lambda text: words(text, preserve_line=True))
    texts = random_texts(80 if name in LANGUAGE_INSTRUCTIONS else 300, seed=len(name))
    if name in LANGUAGE_INSTRUCTIONS:
        texts += ["Der Fuchs lief durch den Regen.", "the fox ran through the rain.", "THE FOX RAN IN THE RAIN."]
    texts += [text for case in CASES if case[0] == name for text in case[2:]]
    seen: list[bool] = []
    for text in texts:
        for arguments in ARGUMENTS.get(name, [{}]):
            ours = follows(name, text, arguments)
            assert ours == published(name, text, arguments), (text, arguments)
            seen.append(ours)
    assert 0 < sum(seen) < len(seen)


def test_untrained_punkt_cuts_the_same_sentences() -> None:
    punkt = pytest.importorskip("nltk.tokenize.punkt").PunktSentenceTokenizer()
    rng = np.random.default_rng(0)
    for _ in range(300):
        ends = rng.choice([". ", "! ", "? ", ".\n", '." ', "?) ", ", ", " "], size=20)
        text = "".join(f"{word}{end}" for word, end in zip(rng.choice(["Fox", "Rain", "Night"], 20), ends, strict=True))
        assert sentences(text) == [sentence.strip() for sentence in punkt.tokenize(text)], text


# ---- the oracle

EXAMPLES = [
    Example(
        "Two words, no comma.",
        (("punctuation:no_comma", {}), ("length_constraints:number_words", {"num_words": 3, "relation": "less than"})),
    ),
    Example("A title.", (("detectable_format:title", {}),)),
]


@pytest.fixture
def oracle() -> IFEvalOracle:
    pytest.importorskip("langdetect")
    return IFEvalOracle(EXAMPLES)


def test_utility_is_the_share_of_instructions_followed(oracle: IFEvalOracle) -> None:
    assert isinstance(oracle, UtilityOracle) and oracle.name == "ifeval"
    prompts = [EXAMPLES[0].prompt] * 3 + [EXAMPLES[1].prompt] * 2
    answers = ["hi there", "well, hi", "well, hi there", "<<Hi>>", ""]
    assert oracle.utilities(prompts, answers).tolist() == [1.0, 0.5, 0.0, 1.0, 0.0]
    assert oracle.followed(prompts[0], "well, hi") == [False, True]
    p = oracle.preference(prompts[:2], answers[:2], answers[1:3])
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-0.5)))
    with pytest.raises(OracleError, match="no instructions are known for the prompt 'Sing'"):
        oracle.utilities(["Sing"], ["la"])


def test_without_langdetect_the_oracle_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "langdetect.detector_factory", None)
    instructions.language_detector.cache_clear()
    try:
        with pytest.raises(OracleError, match="needs the package langdetect"):
            IFEvalOracle(EXAMPLES)
    finally:
        instructions.language_detector.cache_clear()


def test_the_registry_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langdetect")
    monkeypatch.setattr("duelbench.oracles.ifeval.ifeval.ifeval_examples", lambda: tuple(EXAMPLES))
    made = make_oracle("ifeval")
    assert isinstance(made, IFEvalOracle) and made.utilities(["A title."], ["<<x>>"]).tolist() == [1.0]
