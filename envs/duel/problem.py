"""What makes one family of duels differ from another: its prompts, its actions, its oracle and its truth.

A ``Problem`` knows nothing of Gymnasium's step loop; ``duelbench.envs.duel.env`` plays it, one row or many at once. A
new family of environments is one subclass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from gymnasium.spaces import Space
from numpy.typing import NDArray

from duelbench.duels import regret
from duelbench.duels.preference import preference_probability

if TYPE_CHECKING:
    from duelbench.duels.guides import Guide
    from duelbench.envs.duel.settings import RunSettings
    from duelbench.protocols import Oracle

Array = NDArray[np.float64]
Ids = NDArray[np.int64]


class InvalidActionError(ValueError):
    """An action outside the action space. No label was used up."""


def index_pairs(actions: Any, n: int) -> tuple[Ids, Ids]:
    """Batched actions as two columns of indices below n, (B,) each.

    Raises:
        InvalidActionError: for anything else than two integers per row, or an index out of range.
    """
    try:
        pairs = np.asarray(actions)
    except ValueError:  # ragged
        raise InvalidActionError(
            f"expected two integer indices per duel, got {actions!r:.200}; no label was used"
        ) from None
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise InvalidActionError(
            f"expected two integer indices per duel, got an array of shape {pairs.shape[1:]} and type {pairs.dtype}; "
            "no label was used"
        )
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= n):
        row = int(((pairs < 0) | (pairs >= n)).any(1).argmax())
        raise InvalidActionError(
            f"row {row}: expected indices in [0, {n}), got {pairs[row].tolist()}; no label was used"
        )
    return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)


def lone_pair(firsts: Any, seconds: Any, n: int) -> tuple[int, int] | None:
    """The two indices below n of a lone duel; None if they are not what is expected."""
    for column in (firsts, seconds):
        if not (isinstance(column, np.ndarray) and column.dtype == np.int64 and column.shape == (1,)):
            return None
    first, second = firsts.item(), seconds.item()
    return (first, second) if 0 <= first < n and 0 <= second < n else None


def checked_columns(firsts: Any, seconds: Any, rows: int, n: int) -> tuple[Ids, Ids]:
    """Two columns of B indices below n, as they came if they are what is expected, else as ``index_pairs`` says.

    Raises:
        InvalidActionError: as for ``index_pairs``.
    """
    for column in (firsts, seconds):
        if not (isinstance(column, np.ndarray) and column.dtype == np.int64 and column.shape == (rows,)):
            break
        if np.maximum.reduce(column.view(np.uint64)) >= n:  # a negative index is a huge one here
            break
    else:
        return firsts, seconds
    checked = index_pairs(np.stack([firsts, seconds], axis=-1), n)
    if len(checked[0]) != rows:
        raise InvalidActionError(f"expected {rows} duels, one for each row, got {len(checked[0])}; no label was used")
    return checked


@dataclass(frozen=True, slots=True)
class Truth:
    """What only the recorder may know of n responses: utilities, with those of y* and of the reference policy.

    A utility is NaN where the oracle failed; such a reference is left out, such a response has no truth.

    Attributes:
        utilities: u of the responses, (n,).
        best: u(y*) of their prompts, (n,), over the set the problem's ``comparator`` names.
        references: u of R stored responses of the reference policy to the same prompts, (n, R).
        temperature: temperature of the preference.
        link: link function of the preference.
    """

    utilities: Array
    best: Array
    references: Array
    temperature: float = 1.0
    link: str = "bradley-terry"

    @classmethod
    def among(cls, utilities: Array, chosen: NDArray[Any], link: str = "bradley-terry") -> Truth:
        """Truth of one chosen arm each among K with known utilities (n, K); the reference picks uniformly."""
        return cls(
            utilities[np.arange(len(utilities)), chosen.astype(np.int64)], utilities.max(-1), utilities, 1.0, link
        )

    def win_probability(self) -> Array:
        """P(response ≻ a reference response), averaged over the stored reference responses, (n,)."""
        return regret.mean_of_known(self._beats_references())

    def win_rate(self) -> Array:
        """Share of the stored reference responses that the response beats, ties half, (n,)."""
        return regret.mean_of_known(regret.win_rate(self._beats_references()))

    def best_beats(self) -> Array:
        """P(y* ≻ response), (n,)."""
        return preference_probability(self.best, self.utilities, temperature=self.temperature, link=self.link)

    def _beats_references(self) -> Array:
        rivals = self.references
        return preference_probability(self.utilities[:, None], rivals, temperature=self.temperature, link=self.link)


class Problem(ABC):
    """A family of duels with n prompts.

    Beyond the methods below, a problem can do more, by having the methods of a protocol of this module:
    ``KnowsRegret`` (the regret of a duel, with or without utilities), ``Demonstrates`` (good responses to begin with),
    ``AsksOracle`` (an oracle with a name, asked about texts), ``StoresReferences`` (texts that a judge compares with),
    ``Arms`` (K arms, which agents of the numeric families play), ``Guided`` (reference lines of a picture),
    ``KnowsParameter`` (the θ of its utilities).

    Attributes:
        observation_space: space of one row's observation.
        action_space: space of one row's action.
        comparator: the set over which y* is best, in words.
        reference: who the win rates are against, in words.
        nondeterministic: True if the oracle may answer the same duel differently.
        block: duels for which a row's prompts and noise are drawn at once.
        settings: what a run plays by default on the family; None for settings that suit its kind.
    """

    observation_space: Space[Any]
    action_space: Space[Any]
    comparator: str
    reference: str
    nondeterministic: ClassVar[bool] = False
    block: int = 256
    settings: ClassVar[RunSettings | None] = None

    def make_room(self, rows: int) -> None:  # noqa: B027 - most families have nothing to prepare
        """Make room for B rows. Called once, before any episode."""

    def begin(self, row: int, rng: np.random.Generator, instance: int | None) -> None:  # noqa: B027
        """An episode of a row begins; families of random problems take the one that ``instance`` numbers, or draw."""

    def draw(self, row: int, rng: np.random.Generator) -> Ids:
        """The prompts of a row's next ``block`` duels."""
        return rng.integers(self.n_prompts, size=self.block)

    @property
    @abstractmethod
    def n_prompts(self) -> int:
        """Number of prompts that duels are drawn from."""

    @abstractmethod
    def observe(self, ids: Ids) -> dict[str, Any]:
        """The batched observation of some prompts. Fresh arrays each call."""

    @abstractmethod
    def as_batch(self, action: Any) -> Any:
        """One row's action as a batch of one. A wrong form is passed on for ``split`` to complain about."""

    @abstractmethod
    def split(self, actions: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Batched actions as (firsts, seconds), each (B,).

        Raises:
            InvalidActionError: naming the row, what was expected and what came.
        """

    @abstractmethod
    def texts(self, ids: Ids, responses: NDArray[Any]) -> list[str]:
        """Responses as text, for the oracle, the journal and people."""

    @abstractmethod
    def prompt_texts(self, ids: Ids) -> list[str]:
        """Prompts as text."""

    @abstractmethod
    def preference(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array:
        """The oracle's P(first preferred), (n,); NaN where it failed."""

    def ties(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array | None:
        """Chance that the oracle is undecided, (n,), half of which P(first preferred) counts; None: it never is."""
        return None

    @abstractmethod
    def truth(self, ids: Ids, responses: NDArray[Any]) -> Truth | None:
        """Utilities, for the recorder only; None if the oracle has none."""

    @abstractmethod
    def beats_reference(self, ids: Ids, responses: NDArray[Any]) -> Array:
        """The oracle's own P(response ≻ a reference response), (n,); NaN where it failed."""

    @abstractmethod
    def heldout_ids(self) -> Ids:
        """Prompts kept for judging the deployed policy; duels never use them."""


@runtime_checkable
class KnowsRegret(Protocol):
    """A problem that knows the exact regret of a duel, even where no utility explains its preferences."""

    def regrets(self, ids: Ids, firsts: Ids, seconds: Ids) -> dict[str, Array]:
        """Each kind of regret of n duels, (n,) each: ``average``, ``weak``, ``strong``, ``probability``, …"""
        ...


@runtime_checkable
class Demonstrates(Protocol):
    """A problem with good responses for an agent that learns from demonstrations before its first duel."""

    def demonstrations(self, n: int) -> tuple[dict[str, Any], NDArray[Any]]:
        """An observation of n prompts, and a good response to each, (n,)."""
        ...


@runtime_checkable
class AsksOracle(Protocol):
    """A problem whose every question goes to one oracle: ``preference`` for duels, all other methods for judging."""

    oracle: Oracle


@runtime_checkable
class StoresReferences(Protocol):
    """A problem with stored responses of the reference policy, which a judge compares with.

    Attributes:
        temperature: temperature of the Bradley–Terry preference between a response and a reference.
        stored_references: texts of N responses to every prompt, (n, N).
    """

    temperature: float

    @property
    def stored_references(self) -> NDArray[Any]:
        """Texts of N responses to every prompt, (n, N)."""
        ...


@runtime_checkable
class HasContent(Protocol):
    """A problem that plays on data: it says by role what is in them, so that a run is known by it."""

    def content(self) -> dict[str, str]:
        """Hash of the content by role: ``task``, …"""
        ...


@runtime_checkable
class Arms(KnowsRegret, Protocol):
    """K arms per context, each row with contexts of its own: what agents of the numeric families play in lock-step.

    Attributes:
        arms: K.
        dim: d of the arms' features; 0 without features.
        fixed_features: whether the features of the arms stay the same in all contexts.
    """

    arms: int
    dim: int
    fixed_features: bool

    def losses(self, ids: Ids) -> Array:
        """What deploying each arm loses, (n, K); 0 for the best."""
        ...

    def heldout_of_rows(self) -> Ids:
        """For each row the contexts that what it deploys is judged on, (B, H)."""
        ...


@runtime_checkable
class Settled(Protocol):
    """A problem of K arms that says whether its preferences and ties stay as they are, whatever is asked.

    Attributes:
        arms: K.
        settled: whether that holds.
    """

    arms: int
    settled: bool


@runtime_checkable
class Guided(Protocol):
    """A problem with reference lines for a picture of the regret."""

    def guides(self, row: int) -> list[Guide]:
        """Lines for a picture of a row's regret."""
        ...


@runtime_checkable
class KnowsParameter(Protocol):
    """A problem whose utilities are linear."""

    def parameter(self, row: int) -> Array | None:
        """The θ of a row's utilities, (d,), if it has one that stays."""
        ...
