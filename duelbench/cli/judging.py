"""``--judge-…`` options, shared by the commands that play runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(kw_only=True)
class JudgingOptions:
    """How the deployed policy is judged; what is left out is as usual for the environment."""

    judge_every: int | None = None
    """Labels between two judgements of the deployed policy on held-out prompts; 0 judges it at the end alone."""
    judge_prompts: int | None = None
    """Held-out prompts that are judged; 0 judges nothing. Default: all, or few where the oracle costs something."""
    judge_repeats: int | None = None
    """Responses that are judged for each of them."""
    judge_references: int | None = None
    """Stored references that each response is compared with. Default: all, or one where the oracle costs something."""
    judge_oracle: str | None = None
    """Who judges: an oracle as for `--set env.oracle`. Default: the oracle that answers the duels."""

    def judging(self) -> dict[str, Any]:
        """What was asked for, as fields of ``duelbench.records.spec.Judging``."""
        asked = {
            "every": self.judge_every,
            "prompts": self.judge_prompts,
            "repeats": self.judge_repeats,
            "references": self.judge_references,
            "oracle": self.judge_oracle,
        }
        return {name: value for name, value in asked.items() if value is not None}
