"""The interfaces of duelbench. Anything with these methods fits; nothing needs to be inherited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from duelbench.types import Detail, Metrics, Observation, Pair, Responses

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Agent(Protocol):
    """Proposes duels, learns from the answers, and says what it would deploy.

    ``state_dict`` / ``load_state_dict`` are optional: a run of an agent without them resumes by replaying its
    journal from the first duel on. ``predict`` is optional too: see ``Predictor``.

    An agent that never asks says in an attribute ``unlabelled_rounds`` how many rounds it wants. Its run is judged when
    they are over, and the judgement is recorded at 0 labels and at the whole budget.
    """

    def propose(self, observation: Observation) -> Pair:
        """The duels to ask, one for each prompt of the batch."""
        ...

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """Learn from the answers: 1.0 first won, 0.0 second won, 0.5 tie, NaN no answer. Shape (B,)."""
        ...

    def respond(self, observation: Observation) -> Responses:
        """The response the agent would deploy now for each prompt, shape (B,)."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """An agent with a posterior: it can say how a duel will end, and how sure it is of that."""

    def predict(
        self, observation: Observation, first: Responses, second: Responses
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """P(first preferred), the mean over the posterior's members, and their standard deviation, (B,) each.

        Called after the last label, for the record alone: it must not draw from the agent's random stream.
        """
        ...


@runtime_checkable
class ReadsPrompts(Protocol):
    """A policy that answers texts, and can say before any label which prompt it could not answer."""

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Raise ``ValueError`` for the first such prompt, with its row and what to do."""
        ...


class Policy(Protocol):
    """A distribution over responses that can be sampled, scored and trained, beside its frozen reference."""

    feature_dim: int
    generated_tokens: int

    def sample(
        self,
        observation: Observation,
        n: int,
        rng: np.random.Generator,
        *,
        reference: bool = False,
        greedy: bool = False,
        detail: Detail = "all",
    ) -> Responses:
        """n responses for each prompt, shape (B, n), from the policy or from its frozen reference."""
        ...

    def referenced(self, responses: Responses) -> Responses:
        """Responses of shape (B,) with the reference's log-probabilities filled in where they are missing."""
        ...

    def log_probs(self, responses: Responses) -> torch.Tensor:
        """Log-probability of each response of shape (B,), with gradient. Sums over tokens; float32."""
        ...

    def parameters(self) -> Iterable[torch.nn.Parameter]:
        """What a learner trains."""
        ...

    def changed(self) -> None:
        """Told after every optimizer step: copies of the weights elsewhere are stale."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Copies of everything that training changes, as tensors: later steps do not reach them."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        ...


@runtime_checkable
class FinitePolicy(Policy, Protocol):
    """A policy whose responses to a prompt can be listed."""

    def everything(self, observation: Observation) -> Responses:
        """All N responses of each prompt with the policy's log-probabilities, shape (B, N)."""
        ...


@runtime_checkable
class MixturePolicy(Policy, Protocol):
    """A policy that can also be sampled mixed with its reference."""

    def sample_mixture(self, observation: Observation, n: int, rng: np.random.Generator, share: float) -> Responses:
        """n responses for each prompt from the geometric mixture π^(1 − share) π_ref^share, shape (B, n)."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """What turns (prompt, response) into the features that a posterior sees. It is frozen, unless someone trains it.

    Attributes:
        name: for records and messages.
        dim: D, of the features.
    """

    name: str
    dim: int

    def encode(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> torch.Tensor:
        """Features of M responses to each of B prompts, (B, M, D) float32 on the CPU, without gradient."""
        ...


@runtime_checkable
class TrainableEncoder(Encoder, Protocol):
    """An encoder whose weights can be trained, by Bradley–Terry on the labels so far or whatever else has a gradient.

    ``module(tokens(prompts, responses))`` are the features with gradient, (B * M, D) float32, those of row b and column
    m at b * M + m; ``encode`` is the same without. Whoever trains it clones nothing: ``module`` is this encoder's own,
    and what requires a gradient in it is what may be trained (with adapters, they alone).
    """

    module: torch.nn.Module

    def tokens(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> Any:
        """What ``module`` takes for M responses to each of B prompts."""
        ...


class Posterior(Protocol):
    """A belief about the oracle's utility, held as E samples."""

    def rewards(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """R[e, ...]: posterior samples of the reward; features (..., d) -> (E, ...)."""
        ...

    def update(self, chosen: NDArray[np.float32], rejected: NDArray[np.float32], labels: int) -> Metrics:
        """Learn from n preferred and n dispreferred feature vectors (n, d); ``labels`` answers seen in all."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes, its random state included."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        ...


@runtime_checkable
class TextPosterior(Protocol):
    """A belief about the oracle's utility that reads the texts themselves, because it trains what reads them.

    It stands wherever a ``Posterior`` does, with policies that write texts.
    """

    def rewards_of(self, responses: Responses) -> NDArray[np.float32]:
        """R[e, ...]: posterior samples of the reward of responses of shape S, (E, S)."""
        ...

    def learn_from(self, chosen: Responses, rejected: Responses, labels: int) -> Metrics:
        """Learn from n preferred and n dispreferred responses, (n,); ``labels`` answers seen in all."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes, its random state included."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        ...


@runtime_checkable
class Oracle(Protocol):
    """Whoever answers duels.

    An oracle with an attribute ``free = True`` costs nothing to ask, as the built-in readers; every other one is
    assumed to cost money or time. One with an attribute ``gives_verdicts = True`` means a tie by 0.5, and not a chance.
    One with an attribute ``portion`` wants so many questions at once. One that is asked about each duel in both orders
    has a method ``flips(prompts, firsts, seconds)``: of the duels that it answered last, whether the verdict turned
    round with the order, (n,) bool. Whoever wraps an oracle passes them on (``Traits``).
    """

    name: str

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,); NaN where the oracle failed to answer.

        0.5 from a judge that gives hard verdicts (0 or 1) means a tie. The environment turns probabilities into
        verdicts (``duelbench.duels.preference``), so that noise comes from one seeded place.
        """
        ...


@runtime_checkable
class UtilityOracle(Oracle, Protocol):
    """An oracle with a known utility u(x, y), from which truth and regret are computed.

    One whose ``preference`` is Bradley–Terry on these utilities says so in an attribute ``prefers_by_utility``, true:
    the environment then computes it, at any temperature, and has each text scored once. The preference of any other is
    its own, and duels ask for that.
    """

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """u(x, y) of n (prompt, response) texts, (n,)."""
        ...


@dataclass(frozen=True)
class Traits:
    """What an oracle says of itself beside its answers; see ``Oracle``.

    Attributes:
        free: whether asking costs nothing.
        gives_verdicts: whether 0.5 is a tie.
        portion: how many questions it wants at once; None for any number.
        flips: which duels turned round with the order; None if it is not asked in both.
    """

    free: bool = False
    gives_verdicts: bool = False
    portion: int | None = None
    flips: Callable[..., NDArray[np.bool_]] | None = None

    @classmethod
    def of(cls, oracle: object) -> Traits:
        """Those of an oracle."""
        said: dict[str, Any] = {field.name: getattr(oracle, field.name, field.default) for field in fields(cls)}
        return cls(**said)

    def put_on(self, wrapper: object) -> None:
        """Let a wrapper say the same."""
        for field in fields(self):
            setattr(wrapper, field.name, getattr(self, field.name))
