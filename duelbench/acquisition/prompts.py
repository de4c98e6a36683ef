"""Which prompts to spend labels on: of those an agent sees, it keeps the ones that score highest, and drops the others.

This is the second axis of active preference learning: ``duelbench.acquisition`` says which two responses to a prompt
should duel, the scores here say whose duels are worth a label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from duelbench.acquisition.posterior import Columns, Floats, Rewards, centred
from duelbench.plugins import Choice
from duelbench.types import Responses


@dataclass(frozen=True, slots=True)
class Proposal:
    """A duel for each of B prompts, and what is believed about it.

    Attributes:
        candidates: the responses that were sampled, (B, M).
        rewards: R, posterior samples of their rewards, (E, B, M).
        first: columns of the first responses, (B,).
        second: of their rivals, (B,).
    """

    candidates: Responses
    rewards: Rewards
    first: Columns
    second: Columns


class PromptSelection(Protocol):
    """Says which prompts are worth a label, and may learn from those it kept."""

    def keep(self, proposal: Proposal, n: int) -> NDArray[np.bool_]:
        """Which n of the B prompts are kept, (B,): never more or fewer."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that keeping changes."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        ...


def uncertainty(proposal: Proposal) -> Floats:
    """Posterior standard deviation of the probability that the first response wins, (B,)."""
    rows = np.arange(len(proposal.first))
    exact = proposal.rewards.astype(np.float64)
    gap = exact[:, rows, proposal.first] - exact[:, rows, proposal.second]  # (E, B)
    spread: Floats = expit(gap).std(0)
    return spread


def active_exploration(proposal: Proposal, *, width: float = 2.0) -> Floats:
    """How far the value of the best response may reach: max_m (mean + β sd) − max_m (mean − β sd), (B,).

    AE-DPO (Mehta et al. 2025, COLM, "Sample efficient preference alignment in LLMs via active exploration", arXiv
    2312.00267; first called "Sample efficient reinforcement learning from human feedback via active exploration").
    Checked against the authors' code, which takes both maxima over the two responses of a pair, bounds the policy's
    implicit reward by dropout, and uses β = 2; here over all candidates, by the posterior of the reward.
    """
    exact = centred(proposal.rewards)
    mean, reach = exact.mean(0), width * exact.std(0)
    return (mean + reach).max(-1) - (mean - reach).max(-1)


def entropy(proposal: Proposal) -> Floats:
    """Predictive entropy −mean_m log π(y_m | x) of the policy, (B,): APL's first filter (Muldrew et al. 2024)."""
    return -proposal.candidates.log_probs.astype(np.float64).mean(-1)


def gap(proposal: Proposal) -> Floats:
    """Gap of the implicit rewards log π / π_ref of the two responses, (B,): APL's certainty (Muldrew et al. 2024)."""
    rows = np.arange(len(proposal.first))
    implicit = (proposal.candidates.log_probs - proposal.candidates.reference_log_probs).astype(np.float64)
    return np.abs(implicit[rows, proposal.first] - implicit[rows, proposal.second])


SCORES: dict[str, Callable[..., Floats]] = {
    "uncertainty": uncertainty,
    "active_exploration": active_exploration,
    "entropy": entropy,
    "gap": gap,
}
"""Scores of prompts by name; the higher, the sooner asked."""


class Design:
    """Keeps the duels that are longest in the metric of the duels kept so far: ‖z‖_{V⁻¹}, V = I + Σ z zᵀ.

    z = φ(first) − φ(second), in units of the mean length of the first batch. V counts a kept duel at once, so a batch
    does not ask the same thing twice. APO (Das et al. 2024, arXiv 2402.10500) asks the widest context and pair of a
    linear reward. ActiveDPO (Lin et al. 2026, ICLR, arXiv 2505.19241) has gradients of the policy's implicit reward in
    place of φ: for a policy that is linear in φ this is its rule, for any other an approximation.

    Args:
        dim: d.
    """

    def __init__(self, dim: int) -> None:
        self._inverse = np.eye(dim)
        self._unit = 0.0

    def keep(self, proposal: Proposal, n: int) -> NDArray[np.bool_]:
        """Which n prompts are kept, (B,)."""
        rows = np.arange(len(proposal.first))
        features = proposal.candidates.features
        z = (features[rows, proposal.first] - features[rows, proposal.second]).astype(np.float64)
        self._unit = self._unit or float(np.linalg.norm(z, axis=1).mean())
        z /= self._unit or 1.0
        kept = np.zeros(len(rows), bool)
        for _ in range(n):
            moved = z @ self._inverse  # (B, d)
            square = (moved * z).sum(-1)
            best = int(np.where(kept, -1.0, square).argmax())
            kept[best] = True
            self._inverse -= np.outer(moved[best], moved[best]) / (1.0 + square[best])
        return kept

    def state_dict(self) -> dict[str, Any]:
        """V⁻¹ and the unit of length."""
        return {"inverse": self._inverse, "unit": self._unit}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self._inverse, self._unit = state["inverse"], state["unit"]


class TopScores:
    """Keeps the prompts of the highest scores, the first of equal ones.

    Args:
        score: of ``SCORES``.
    """

    def __init__(self, score: Callable[[Proposal], Floats]) -> None:
        self._score = score

    def keep(self, proposal: Proposal, n: int) -> NDArray[np.bool_]:
        """Which n prompts are kept, (B,)."""
        kept = np.zeros(len(proposal.first), bool)
        kept[np.argsort(-self._score(proposal), kind="stable")[:n]] = True
        return kept

    def state_dict(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class FirstPrompts:
    """Keeps prompts as they come: the first n, which are all where each gets a label.

    Args:
        dim: d, not needed.
    """

    def __init__(self, dim: int) -> None:
        pass

    def keep(self, proposal: Proposal, n: int) -> NDArray[np.bool_]:
        """The first n, (B,)."""
        return np.arange(len(proposal.first)) < n

    def state_dict(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


PROMPT_SELECTIONS: dict[str, Any] = {"none": FirstPrompts, "design": Design, **SCORES}
"""Selections of prompts by name: a score of proposals, or a class made of the number of features, d."""


def choose_prompts(selection: Any = "none", /, **options: Any) -> Choice:
    """A selection of prompts, by name or as the score or the class itself, with its options."""
    return Choice.of("prompt_selection", PROMPT_SELECTIONS, selection, **options)


def make_prompt_selection(choice: Choice, dim: int) -> PromptSelection:
    """What was chosen, for d features; a score keeps the prompts where it is highest."""
    made: PromptSelection = choice.make(dim) if isinstance(choice.plugin, type) else TopScores(choice.make())
    return made
