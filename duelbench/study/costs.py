"""The cost of runs, measured on those played so far, to estimate the rest of a sweep."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duelbench.records.spec import RunSpec
from duelbench.runs.recording.run_folder import RunFolder

Kind = tuple[str, str, str]
"""Environment, language model, agent."""


@dataclass(frozen=True)
class Cost:
    """Measured cost of one oracle label.

    Attributes:
        seconds: wall time.
        tokens: generated tokens; 0 without a language model.
        own: whether it was measured on this agent, not on others of the same environment and model.
    """

    seconds: float
    tokens: float
    own: bool = True


@dataclass(frozen=True)
class Forecast:
    """The remaining runs of one kind.

    Attributes:
        kind: environment, language model, agent.
        runs: how many were asked for.
        to_play: how many of them are to be played.
        labels: what these will ask.
        cost: of a label; None if nothing is known, or nothing is to be played.
    """

    kind: Kind
    runs: int
    to_play: int
    labels: int
    cost: Cost | None

    @property
    def seconds(self) -> float:
        """Of one core; 0 if unknown."""
        return self.cost.seconds * self.labels if self.cost else 0.0

    @property
    def tokens(self) -> float:
        """To be generated; 0 if unknown."""
        return self.cost.tokens * self.labels if self.cost else 0.0

    @property
    def known(self) -> bool:
        """Whether the cost is known or nothing."""
        return self.cost is not None or not self.labels


def forecast(asked: Sequence[RunSpec], missing: Sequence[RunSpec], costs: Costs) -> list[Forecast]:
    """The remaining runs of each kind, in the order of the sweep."""
    runs = Counter(map(kind, asked))
    left = defaultdict[Kind, list[RunSpec]](list)
    for spec in missing:
        left[kind(spec)].append(spec)
    return [
        Forecast(
            key,
            n,
            len(left[key]),
            sum(spec.total_labels for spec in left[key]),
            costs.of(left[key][0]) if left[key] else None,
        )
        for key, n in runs.items()
    ]


def kind(spec: RunSpec) -> Kind:
    """The key under which runs of similar cost are grouped."""
    return spec.env, str(spec.policy.get("model", "")), spec.agent_label


class Costs:
    """Cost of a label, by kind of run.

    Args:
        specs: runs that may have been played.
        out: their output folder.
    """

    def __init__(self, specs: Iterable[RunSpec], out: Path) -> None:
        measured: dict[Kind, list[tuple[float, float]]] = defaultdict(list)
        for spec in specs:
            folder = RunFolder.at(out, spec)
            if folder.finished and (found := _of_run(folder, spec)):
                measured[kind(spec)].append(found)
        self._of = {key: Cost(*np.mean(values, axis=0).tolist()) for key, values in measured.items()}

    def of(self, spec: RunSpec) -> Cost | None:
        """Of the same agent, or else the mean of others on the same environment and model; None if nothing is known."""
        env, model, _ = kind(spec)
        if own := self._of.get(kind(spec)):
            return own
        others = [cost for key, cost in self._of.items() if key[:2] == (env, model)]
        if not others:
            return None
        seconds, tokens = (float(np.mean([getattr(cost, name) for cost in others])) for name in ("seconds", "tokens"))
        return Cost(seconds, tokens, own=False)


def _of_run(folder: RunFolder, spec: RunSpec) -> tuple[float, float] | None:
    lines = (folder.path / "timing.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1]) if lines else {}
    if not last.get("labels"):
        return None
    return last["wall_seconds"] / spec.total_labels, last.get("generated_tokens", 0.0) / spec.total_labels
