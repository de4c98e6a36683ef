"""From what a name stands for to the object that is wanted: classes are made, plain functions wrapped."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Maker:
    """How plugins of one kind are made.

    Attributes:
        kind: what they are, for messages: ``oracle``, ``encoder``.
        options: what their constructors' arguments are called in messages.
        protocol: what they must satisfy.
        method: its method, which must be callable.
        lacks: what is wrong with an object that does not satisfy it.
        wrapper: makes one of a plain function.
        error: what a user's mistake raises.
    """

    kind: str
    options: str
    protocol: Any
    method: str
    lacks: str
    wrapper: Callable[..., Any]
    error: type[Exception]

    def make(self, found: Any, spec: str, options: Mapping[str, Any]) -> Any:
        """The object itself, an instance of a class, or a plain function in its wrapper.

        Args:
            found: what was found or given.
            spec: how it was named, for messages.
            options: of its constructor.
        """
        if inspect.isclass(found):
            made = self.call(found, spec, **options)
        elif isinstance(found, self.protocol):
            if options:
                raise self.error(f"{self.kind} {spec} is made already: it takes no {', '.join(options)}")
            made = found
        elif callable(found):
            made = self.call(self.wrapper, spec, found, **options)
        else:
            made = found
        if not isinstance(made, self.protocol) or not callable(getattr(made, self.method)):
            raise self.error(f"{self.kind} {spec!r} is a {type(made).__name__} without {self.lacks}")
        return made

    def call(self, constructor: Any, spec: str, *arguments: Any, **options: Any) -> Any:
        """What a constructor gives for its arguments; names that it does not take are a user's error."""
        try:
            inspect.signature(constructor).bind(*arguments, **options)
        except TypeError as error:
            raise self.error(
                f"{self.kind} {spec!r} cannot be made with the {self.options} {options}: {error}"
            ) from error
        return constructor(*arguments, **options)
