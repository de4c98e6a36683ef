"""The tables of the study."""

from __future__ import annotations

from duelbench.experiments.comparison.arms import arm_results
from duelbench.experiments.in_context.replies import DUELS, TOLD, read_replies, reply_table
from duelbench.experiments.in_context.study import IN_CONTEXT
from duelbench.experiments.records import Records


def results() -> str:
    """Everything that is told in numbers, as Markdown; what was not played yet is left out."""
    head = "# Results\n\nWritten by a program from `replies.csv`."
    if IN_CONTEXT.records.exists():
        head = arm_results(IN_CONTEXT, Records.read(IN_CONTEXT.records)).rstrip()
    chance = "Two different arms drawn at random hold the best one 0.40 of the time."
    return f"{head}\n\n## {TOLD} histories of {DUELS} random duels\n\n{chance}\n\n{reply_table(read_replies())}\n"
