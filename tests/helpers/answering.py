"""Somebody who answers the duels of a session as the oracle of its run would."""

from __future__ import annotations

from typing import Any

import numpy as np

from duelbench.label.session import Session
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.types import Verdict

SAID = {Verdict.FIRST: "first", Verdict.SECOND: "second", Verdict.TIE: "tie"}


class Respondent:
    """Knows every answer that the run loop would get: the same probabilities, the same noise.

    Args:
        spec: the run.
    """

    def __init__(self, spec: RunSpec) -> None:
        parts = assemble(spec)
        self.rows = parts.env.num_envs
        self.engine, self.problem = parts.env.engine, parts.env.problem
        parts.env.reset(seed=parts.seeds, options={"start": 0, "instance": spec.seed})
        self.rngs = parts.env._rngs
        self.noise: dict[int, Any] = {}
        self.drawn = 0

    def verdict(self, number: int, prompt: str, first: str, second: str) -> Verdict:
        """The answer to a duel of the run."""
        while number // self.rows >= self.drawn * self.problem.block:
            for row in range(self.rows):
                if self.drawn:
                    self.engine._draw(row, self.rngs[row])
                for at in range(self.problem.block):
                    self.noise[(self.drawn * self.problem.block + at) * self.rows + row] = self.engine._noise[row, at]
            self.drawn += 1
        p = self.problem.oracle.preference([prompt], [first], [second])
        noise = np.array([self.noise[number]])
        return Verdict(int(self.engine.feedback.verdicts(p, noise, np.array([number // self.rows]), None)[0]))

    def answer(self, session: Session, name: str, annotator: str | None = None, **more: Any) -> None:
        """Answer a duel of a session, on the side where it was shown."""
        shown = session.desk._ledger.shown[name]
        duel = session.desk._ledger.posed[shown.number]
        verdict = self.verdict(duel.number, duel.prompt, duel.first, duel.second)
        if shown.swapped and verdict != Verdict.TIE:
            verdict = Verdict(1 - verdict)
        session.tell(name, SAID[verdict], annotator, **more)  # type: ignore[arg-type]
