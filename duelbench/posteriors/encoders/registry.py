"""Encoders by name, so that a run specification can say what its reward model sees.

Features of your own take one function, in a file of your own::

    # my_features.py                     then: make_encoder("my_features.py:counts")
    def counts(prompt: str, response: str) -> list[float]:
        return [len(response.split()), response.count(",")]

A class with ``name``, ``dim`` and ``encode`` (see `duelbench.protocols.Encoder`) works the same way. Installed packages
announce encoders as entry points of the group ``duelbench.encoders``.
"""

from __future__ import annotations

import inspect
from typing import Any

from duelbench.plugins import find, load
from duelbench.posteriors.encoders.function import FunctionEncoder
from duelbench.protocols import Encoder

ENCODERS: dict[str, str] = {
    "preference": "a small language model that has read other readers' preferences; packaged, trainable",
    "lm": "the states of a frozen language model, tiny by default: what a start without preferences knows",
    "lm:MODEL": "the same of another causal language model, as a policy of that model computes them",
    "preference:FOLDER": "an encoder of your own, trained by experiments/preference_encoder",
    "knows_taste:READER": "what a simulated reader notices itself; privileged, a reference line",
    "hf:MODEL": "hidden states of any transformers model; of a reward model those that its head reads; trainable",
}
"""Every built-in name and what it is; a name with a colon takes a model folder or hub id after it."""

_TARGETS = {
    "preference": "duelbench.posteriors.encoders.preference:PreferenceEncoder",
    "lm": "duelbench.posteriors.encoders.language_model:LanguageModelEncoder",
    "knows_taste": "duelbench.posteriors.encoders.taste:TasteEncoder",
    "hf": "duelbench.posteriors.encoders.hidden_states:HiddenStatesEncoder",
}
"""Name -> target; loaded only when it is wanted."""


def make_encoder(encoder: Any, **options: Any) -> Encoder:
    """Make an encoder from its name, from where its code is, or from the code itself.

    Args:
        encoder: a name in `ENCODERS` ("preference", "hf:./reward_model"), an entry point of an installed package, a
            dotted path ("package.module:Name"), a file and a name ("my_features.py:counts"), or the encoder, class or
            function itself. The code of a dotted path or a file is run: name only code that you trust.
        **options: passed to the encoder's constructor.

    Returns:
        The encoder. A plain function f(prompt, response) -> numbers is wrapped by `FunctionEncoder`.

    Raises:
        duelbench.plugins.PluginError: no such name, module, file or attribute.
        ValueError: what it names is no encoder, or does not take these options.

    >>> make_encoder(lambda prompt, response: [len(response)], name="length").encode(["?"], [["a", "abc"]]).tolist()
    [[[1.0], [3.0]]]
    """
    if not isinstance(encoder, str):
        return _as_encoder(encoder, str(getattr(encoder, "__name__", type(encoder).__name__)), options)
    kind, _, model = encoder.partition(":")
    if kind in _TARGETS and (model or kind != "hf"):
        made = load(_TARGETS[kind], kind="encoder")
        return _called(made, encoder, *([model] if model else []), **options)
    return _as_encoder(find(encoder, dict.fromkeys(ENCODERS, ""), kind="encoder"), encoder, options)


def _as_encoder(found: Any, spec: str, options: dict[str, Any]) -> Encoder:
    if inspect.isclass(found):
        encoder = _called(found, spec, **options)
    elif isinstance(found, Encoder):
        if options:
            raise ValueError(f"encoder {spec} is made already: it takes no {', '.join(options)}")
        encoder = found
    elif callable(found):
        encoder = _called(FunctionEncoder, spec, found, **options)
    else:
        encoder = found
    if not isinstance(encoder, Encoder):
        raise ValueError(
            f"encoder {spec!r} is a {type(encoder).__name__} without name, dim and encode(prompts, responses): give a "
            "class with all three, or a plain function"
        )
    return encoder


def _called(make: Any, spec: str, *args: Any, **options: Any) -> Any:
    """What a constructor gives for its arguments; names that it does not take are a user's error."""
    try:
        inspect.signature(make).bind(*args, **options)
    except TypeError as error:
        raise ValueError(f"encoder {spec!r} cannot be made with the options {options}: {error}") from error
    return make(*args, **options)
