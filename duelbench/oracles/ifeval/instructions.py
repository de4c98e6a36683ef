r"""The 25 verifiable instructions of IFEval: does a response follow one? Yes or no, by rule.

Written from the published checkers (https://arxiv.org/abs/2311.07911, google-research/instruction_following_eval) and
compared with them on thousands of texts. Three differences, all on purpose:

* ``number_sentences`` splits sentences by rule; theirs asks NLTK's punkt model, which is a download.
* ``capital_word_frequency`` splits words by rule, for the same reason.
* ``letter_frequency`` counts any character; theirs puts a random letter in the place of ``#`` and ``!``.

>>> follows("length_constraints:number_words", "Two words", {"relation": "at least", "num_words": 2})
True
>>> follows("punctuation:no_comma", "One, two", {})
False
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Detect = Callable[[str], str | None]
"""ISO 639-1 code of a text's language; None where no language can be seen."""

_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_ABBREVIATIONS = "Mr|Mrs|Ms|Dr|Prof|St|Capt|Lt|Inc|Ltd|Co|Jr|Sr|vs|etc|e\\.g|i\\.e|Ph\\.D|U\\.S|No"
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s+\S)")
_ABBREVIATED = re.compile(rf"\b(?:{_ABBREVIATIONS}|[A-Z])\.$")


def follows(instruction: str, response: str, arguments: Mapping[str, Any], detect: Detect | None = None) -> bool:
    """Whether a response follows an instruction, strictly: an empty one follows none.

    Args:
        instruction: one of `INSTRUCTIONS`.
        response: text.
        arguments: arguments of this instruction, as IFEval's data name them.
        detect: sees a text's language, for `LANGUAGE_INSTRUCTIONS`; `language_detector` by default.

    Raises:
        KeyError: no such instruction.
        ModuleNotFoundError: a language is asked for and langdetect is not installed.
    """
    check = INSTRUCTIONS[instruction]
    if not response.strip():
        return False
    if instruction in LANGUAGE_INSTRUCTIONS:
        return bool(check(response, detect=detect or language_detector(), **arguments))
    return bool(check(response, **arguments))


@cache
def language_detector() -> Detect:
    """The detector of IFEval, langdetect, made repeatable: each text is judged from the same random seed."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
    from langdetect.lang_detect_exception import LangDetectException

    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)

    def detect(text: str) -> str | None:
        detector = factory.create()
        detector.seed = 0
        detector.append(text)
        try:
            return str(detector.detect())
        except LangDetectException:  # nothing but digits and signs
            return None

    return detect


def sentences(text: str) -> list[str]:
    """Sentences of a text: cut after ``.``, ``!`` or ``?`` and space, but not after an abbreviation or an initial."""
    found, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        if not _ABBREVIATED.search(text, start, end.end()):
            found.append(text[start : end.end()].strip())
            start = end.end()
    return [sentence for sentence in [*found, text[start:].strip()] if sentence]


def _holds(count: int, relation: str, threshold: int) -> bool:
    if relation not in ("less than", "at least"):
        raise ValueError(f"expected the relation 'less than' or 'at least', got {relation!r}")
    return count < threshold if relation == "less than" else count >= threshold


def _parts(text: str, divider: str) -> list[str] | None:
    """Non-empty parts between dividers; None if one but the first and the last is empty."""
    parts = re.split(divider, text)
    return None if any(not part.strip() for part in parts[1:-1]) else [part for part in parts if part.strip()]


# ---- keywords


def _existence(text: str, keywords: list[str]) -> bool:
    return all(word.lower() in text.lower() for word in keywords)


def _frequency(text: str, keyword: str, frequency: int, relation: str) -> bool:
    return _holds(len(re.findall(re.escape(keyword.strip()), text, re.IGNORECASE)), relation, frequency)


def _forbidden_words(text: str, forbidden_words: list[str]) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in forbidden_words)


def _letter_frequency(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    return _holds(text.lower().count(letter.strip().lower()), let_relation, let_frequency)


# ---- language and case


def _response_language(text: str, language: str, detect: Detect) -> bool:
    return detect(text) in (language, None)


def _english_capital(text: str, detect: Detect) -> bool:
    return text.isupper() and detect(text) in ("en", None)


def _english_lowercase(text: str, detect: Detect) -> bool:
    return text.islower() and detect(text) in ("en", None)


def _capital_word_frequency(text: str, capital_frequency: int, capital_relation: str) -> bool:
    # Counts as word tokenizers do: signs and apostrophes part words (I'M is two, DON'T too), hyphens and points join.
    words = re.findall(r"[^\s'\"“”‘’`,;:!?()\[\]{}<>@#$%&…]+", text)
    return _holds(sum(word.isupper() for word in words), capital_relation, capital_frequency)


# ---- length


def _number_words(text: str, num_words: int, relation: str) -> bool:
    return _holds(len(re.findall(r"\w+", text)), relation, num_words)


def _number_sentences(text: str, num_sentences: int, relation: str) -> bool:
    return _holds(len(sentences(text)), relation, num_sentences)


def _number_paragraphs(text: str, num_paragraphs: int) -> bool:
    parts = _parts(text, r"\s?\*\*\*\s?")
    return parts is not None and len(parts) == num_paragraphs


def _nth_paragraph_first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    # Empty paragraphs do not count, yet they keep their place, as in the published checker.
    paragraphs = [paragraph.strip() for paragraph in text.split("\n\n")]
    if sum(map(bool, paragraphs)) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    words = paragraphs[nth_paragraph - 1].split()
    if not words:
        return False
    word = re.split(r"[.,?!'\"]", words[0].lstrip("'").lstrip('"'))[0]
    return word.lower() == first_word.lower()


# ---- content, format, start and end


def _number_placeholders(text: str, num_placeholders: int) -> bool:
    return len(re.findall(r"\[.*?\]", text)) >= num_placeholders


def _postscript(text: str, postscript_marker: str) -> bool:
    marker = postscript_marker.strip()
    patterns = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return re.search(patterns.get(marker, re.escape(marker.lower())), text.lower()) is not None


def _number_bullet_lists(text: str, num_bullets: int) -> bool:
    stars, dashes = (re.findall(form, text, re.MULTILINE) for form in (r"^\s*\*[^\*].*$", r"^\s*-.*$"))
    return len(stars) + len(dashes) == num_bullets


def _constrained_response(text: str) -> bool:
    return any(option in text for option in _OPTIONS)


def _number_highlighted_sections(text: str, num_highlights: int) -> bool:
    single, double = re.findall(r"\*[^\n\*]*\*", text), re.findall(r"\*\*[^\n\*]*\*\*", text)
    return sum(bool(mark.strip("*").strip()) for mark in single + double) >= num_highlights


def _multiple_sections(text: str, section_spliter: str, num_sections: int) -> bool:
    return len(re.findall(rf"\s?{re.escape(section_spliter.strip())}\s?\d+\s?", text)) >= num_sections


def _json_format(text: str) -> bool:
    bare = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        bare = bare.removeprefix(fence)
    try:
        json.loads(bare.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str) -> bool:
    return any(title.lstrip("<").rstrip(">").strip() for title in re.findall(r"<<[^\n]+>>", text))


def _two_responses(text: str) -> bool:
    parts = _parts(text, r"\*{6}")
    return parts is not None and len(parts) == 2 and parts[0].strip() != parts[1].strip()


def _repeat_prompt(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _end_checker(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _quotation(text: str) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


def _no_comma(text: str) -> bool:
    return "," not in text


INSTRUCTIONS: dict[str, Callable[..., bool]] = {
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden_words,
    "keywords:letter_frequency": _letter_frequency,
    "language:response_language": _response_language,
    "length_constraints:number_sentences": _number_sentences,
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:number_words": _number_words,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph_first_word,
    "detectable_content:number_placeholders": _number_placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _number_bullet_lists,
    "detectable_format:constrained_response": _constrained_response,
    "detectable_format:number_highlighted_sections": _number_highlighted_sections,
    "detectable_format:multiple_sections": _multiple_sections,
    "detectable_format:json_format": _json_format,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeat_prompt,
    "startend:end_checker": _end_checker,
    "startend:quotation": _quotation,
    "change_case:capital_word_frequency": _capital_word_frequency,
    "change_case:english_capital": _english_capital,
    "change_case:english_lowercase": _english_lowercase,
    "punctuation:no_comma": _no_comma,
}
"""Every instruction by IFEval's name."""
LANGUAGE_INSTRUCTIONS = frozenset(
    {"language:response_language", "change_case:english_capital", "change_case:english_lowercase"}
)
"""Those that need a language detector."""
