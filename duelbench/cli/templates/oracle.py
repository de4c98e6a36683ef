"""An oracle of your own. Let it answer the duels of an agent, then edit it and give the same command again:

    duelbench run --env LLMDuelPool-v0 --agent online --set env.oracle=mine.py:mine --seeds 2 --labels 128 --out results/mine

Every answer is kept before anyone learns from it: a question is never asked twice, however a run ended.
"""  # noqa: E501

from __future__ import annotations


def mine(prompt: str, response: str) -> float:
    """How good a response is: here, vivid and short.

    The probability that the first of two responses wins follows from the difference (Bradley–Terry). Raise an exception
    or return NaN where there is no answer: the label stays unanswered, and no number is made up for it.

    A function of prompt, first and second response that returns the probability that the first is preferred does as
    well, and so does a class with a method ``preference`` of three lists, for batches of questions.
    """
    words = response.split()
    vivid = sum(word.strip(".,!?").lower() in {"bright", "golden", "sparkling", "wild"} for word in words)
    return 2.0 * vivid - 0.1 * len(words)
