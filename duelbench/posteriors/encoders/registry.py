"""Encoders by name, so that a run specification can say what its reward model sees.

Features of your own take one function, in a file of your own::

    # my_features.py                     then: make_encoder("my_features.py:counts")
    def counts(prompt: str, response: str) -> list[float]:
        return [len(response.split()), response.count(",")]

A class with ``name``, ``dim`` and ``encode`` (see `duelbench.protocols.Encoder`) works the same way. Installed packages
announce encoders as entry points of the group ``duelbench.encoders``.
"""

from __future__ import annotations

from typing import Any

from duelbench.plugins import find, load
from duelbench.plugins.making import Maker
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

_MAKER = Maker(
    kind="encoder",
    options="options",
    protocol=Encoder,
    method="encode",
    lacks="name, dim and encode(prompts, responses): give a class with all three, or a plain function",
    wrapper=FunctionEncoder,
    error=ValueError,
)


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
        return _MAKER.make(encoder, str(getattr(encoder, "__name__", type(encoder).__name__)), options)
    found = find_encoder(encoder)
    kind, _, model = encoder.partition(":")
    if kind in _TARGETS and (model or kind != "hf"):
        return _MAKER.call(found, encoder, *([model] if model else []), **options)
    return _MAKER.make(found, encoder, options)


def find_encoder(encoder: str) -> Any:
    """What an encoder's name stands for, not made yet: a class, a function, or the encoder itself.

    Raises:
        duelbench.plugins.PluginError: no such name, module, file or attribute.
    """
    kind, _, model = encoder.partition(":")
    if kind in _TARGETS and (model or kind != "hf"):
        return load(_TARGETS[kind], kind="encoder")
    return find(encoder, dict.fromkeys(ENCODERS, ""), kind="encoder")
