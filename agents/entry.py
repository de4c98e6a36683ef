"""What a table of agents says of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["policy", "arms"]


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent that goes by a name.

    Attributes:
        target: where its class is, ``package.module:Class``.
        kind: ``policy`` for agents that align a policy, ``arms`` for those that play many seeds of numeric arms in
            lock-step.
        options: fields of its ``Config`` that make the name.
        summary: what it is and whose, in a line.
        reads_features: False for an agent that never looks at the features of responses: a language model's policy then
            computes none for it.
    """

    target: str
    kind: Kind
    options: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    reads_features: bool = True


@dataclass(frozen=True)
class NoOptions:
    """The ``Config`` of an agent without hyper-parameters."""
