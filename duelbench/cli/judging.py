"""Options shared by the commands that play runs: ``--judge-…``, and ``--yes`` to what they cost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.prompt import Confirm

from duelbench.cli.arguments import UNSET

if TYPE_CHECKING:
    from duelbench.records.spec import RunSpec


@dataclass(kw_only=True)
class JudgingOptions:
    """How the deployed policy is judged; what is left out follows the environment's defaults."""

    judge_every: Annotated[int | None, UNSET] = None
    """Labels between judgements of the policy; 0: only at the end."""
    judge_prompts: Annotated[int | None, UNSET] = None
    """Held-out prompts to judge on; 0 judges nothing."""
    judge_repeats: Annotated[int | None, UNSET] = None
    """Responses to judge for each of them."""
    judge_references: Annotated[int | None, UNSET] = None
    """Stored references to compare each response with."""
    judge_oracle: Annotated[str | None, UNSET] = None
    """Who judges. Default: the oracle that answers the duels."""
    judge_second: Annotated[str | None, UNSET] = None
    """Who judges the same responses too, by whom nothing is learned. Default: nobody."""
    yes: Annotated[bool, UNSET] = False
    """Ask for no confirmation, however many questions an oracle gets."""

    def agreed(self, specs: Sequence[RunSpec], console: Console, times: int = 1) -> bool:
        """Say what the runs will ask of oracles that cost something; if it is much, have somebody at a terminal agree.

        Args:
            specs: runs that are to be played.
            console: where it is said.
            times: how often as many are played.
        """
        from duelbench.runs.judging.forecast import MANY, forecast_all, forecast_text

        calls = forecast_all(specs)
        for purpose in calls:
            calls[purpose] *= times
        if not (text := forecast_text(calls)):
            return True
        console.print(f"{text}.", highlight=False, soft_wrap=True)
        if self.yes or sum(calls.values()) <= MANY or not (sys.stdin.isatty() and console.is_terminal):
            return True
        return Confirm.ask("Go on?", console=console, default=False)

    def judging(self) -> dict[str, Any]:
        """What was asked for, as fields of ``duelbench.records.spec.Judging``."""
        asked = {
            "every": self.judge_every,
            "prompts": self.judge_prompts,
            "repeats": self.judge_repeats,
            "references": self.judge_references,
            "oracle": self.judge_oracle,
            "second": self.judge_second,
        }
        return {name: value for name, value in asked.items() if value is not None}
