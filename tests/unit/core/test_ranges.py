from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Interval

from duelbench.acquisition import choose_rule
from duelbench.agents.registry import AGENTS, find_agent, make_config
from duelbench.learning.learner import LearnerConfig
from duelbench.plugins import Choice
from duelbench.policies.causal_lm import check_options
from duelbench.policies.pool import PoolPolicy
from duelbench.posteriors.registry import POSTERIORS, choose_posterior
from duelbench.ranges import Checked, Count, Natural, NonNegative, Positive, Share, at_least, check_values
from duelbench.records.spec import Judging


@dataclass(frozen=True)
class Example(Checked):
    rate: Positive = 1.0
    weight: NonNegative = 0.0
    share: Share = 0.5
    size: Count = 1
    steps: Natural | None = None
    smoothing: Annotated[float, Interval(ge=0, lt=0.5)] = 0.0
    mode: Literal["a", "b"] = "a"
    flag: bool = False
    pair: tuple[Share, Share] = (0.1, 0.2)
    name: str = "x"
    other: Any = None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("rate", [1, 1e-9], [0, -1.0, math.nan, math.inf, "1", True, None]),
        ("weight", [0, 0.0, 3], [-1e-9, math.nan, -math.inf]),
        ("share", [0, 1, 0.3], [1.0001, -0.1, math.nan]),
        ("size", [1, 10**9], [0, 1.0, 1.5, -3, True, "2", None]),
        ("steps", [None, 0, 4], [-1, 0.5, "none"]),
        ("smoothing", [0, 0.49], [0.5, -0.1]),
        ("mode", ["b"], ["c", None]),
        ("flag", [True], [1, "true"]),
        ("pair", [(0, 1), [0.5, 0.5]], [(0.1,), (0.1, 2.0), 3, (0.1, 0.2, 0.3)]),
        ("name", ["", "y"], [1, None]),
        ("other", [math.nan, object(), None], []),
    ],
)
def test_a_value_of_a_wrong_type_or_out_of_range_is_named(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        Example(**{name: value})
    for value in bad:
        with pytest.raises(ValueError, match=f"Example: {name} must be .*, got "):
            Example(**{name: value})
        with pytest.raises(ValueError, match=name):
            dataclasses.replace(Example(), **{name: value})


def test_arguments_of_functions_and_constructors_are_checked_alike() -> None:
    def play(rows: Count, noise: Share = 0.1) -> None: ...

    check_values(play, {"rows": 3, "unknown": -1})
    with pytest.raises(ValueError, match="play: noise must be a finite number ≥ 0 and ≤ 1, got 2"):
        check_values(play, {"rows": 3, "noise": 2})
    with pytest.raises(ValueError, match="PoolPolicy: hidden must be a whole number ≥ 0, got -1"):
        check_values(PoolPolicy, {"hidden": -1})


def every_config() -> Iterator[tuple[str, Any]]:
    """The configs of all agents, nested ones too, and those that agents share."""
    for kind, entries in AGENTS.items():
        for name in entries:
            if (config := make_config(find_agent(name, arms=kind == "arms"), {})) is not None:
                yield from _nested(name, config)
    for posterior in POSTERIORS:
        yield from _nested(posterior, choose_posterior(posterior).config)
    yield from (("learner", LearnerConfig()), ("judging", Judging()))


def _nested(name: str, config: Any) -> Iterator[tuple[str, Any]]:
    yield name, config
    for field in dataclasses.fields(config):
        inner = getattr(config, field.name)
        if isinstance(inner, Choice):
            inner = inner.config
        if dataclasses.is_dataclass(inner):
            yield from _nested(f"{name}.{field.name}", inner)


def test_every_number_of_every_config_has_a_range() -> None:
    for name, config in every_config():
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            for bad in (math.nan, math.inf, -math.inf, -1e9, "1", None if "None" not in str(field.type) else "x"):
                with pytest.raises(ValueError, match=field.name):
                    dataclasses.replace(config, **{field.name: bad})
                    pytest.fail(f"{name}.{field.name} takes {bad!r}")


def test_options_of_a_rule_have_ranges_too() -> None:
    for rule, option, bad in (("rucb", "width", -1.0), ("rucb", "width", math.nan), ("drts", "tries", 0)):
        choose_rule(rule)
        with pytest.raises(ValueError, match=f"{option} must be"):
            choose_rule(rule, **{option: bad})


@pytest.mark.parametrize(
    "options",
    [
        {"label_smoothing": 0.9},
        {"beta": -1.0},
        {"beta": 0},
        {"beta": "abc"},
        {"clip": 0.0},
        {"micro_batch": -3},
        {"warmup_steps": -5},
        {"learning_rate": math.nan},
        {"adam_betas": [0.9, 1.0]},
        {"weight_decay": -1.0},
    ],
)
def test_a_learner_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"LearnerConfig: {next(iter(options))} must be"):
        LearnerConfig(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"max_new_tokens": 0},
        {"lora_rank": -1},
        {"lora_alpha": 0},
        {"prompt_template": "none"},
        {"sampler": "other"},
    ],
)
def test_a_policy_out_of_range_is_refused_before_anything_is_loaded(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        check_options(options)
    check_options({"temperature": 0.0, "prompt_template": "Q: {prompt}", "lora_alpha": None})


def test_a_share_counts_as_it_is_written() -> None:
    """Against decimal arithmetic, which is exact here; binary floating point is one off in many places."""
    off = 0
    for hundredths in range(101):
        share = hundredths / 100
        for of in range(300):
            want = int((Decimal(hundredths) * of / 100).to_integral_value(ROUND_CEILING))
            assert at_least(share, of) == want, (share, of)
            off += of - want != int((1.0 - share) * of)
    assert off > 100
