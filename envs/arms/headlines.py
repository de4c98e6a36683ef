"""HeadlineDuel-v0: arms are headlines of one article, and clicks of readers are recast as duels.

**Definition.** Headline k has the click rate p_k. A duel shows two headlines to one reader each, who click or not
independently. If one of the two is clicked, it wins; if both or none are, the duel is a tie. So the first wins with
probability p_i (1 − p_j), a tie has probability p_i p_j + (1 − p_i)(1 − p_j), and with ties counted as half

    P(i beats j) = ½ (1 + p_i − p_j).

Utilities are the click rates, so that average regret counts the clicks that an impression loses to the best headline.
Since click rates are small, nearly all duels tie: a win is a click, and that is all there is to learn from.

**Click rates.** Synthetic ones are Beta(1.38, 96.11), mean 1.4 %: the prior that a replication of LOLA's code has for
the Upworthy archive (the paper is Ye et al. 2025, arXiv 2406.02611). Or they come from a user's copy of the archive,
whose files are not part of this package: clicks and impressions of each headline of a test, at the posterior mean under
that prior. Its column names are those of the archive's documentation (github.com/natematias/upworthy-archive): a
test is ``clickability_test_id``, a row a package of headline and image; packages that share a headline are summed.

**Predictions.** The learner sees a predicted click rate of each headline, as a language model would give it: with logit
that of the click rate plus N(0, s²), or a column of the file. Over synthetic headlines the logit has standard deviation
1.0, so s = 1 makes a prediction that correlates with the truth by 0.7, s = 4 one by 0.24.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray
from scipy.special import expit, logit

from duelbench.duels.guides import Guide, trivial_guides
from duelbench.duels.preference import LINKS
from duelbench.envs.arms.family import Family, Floats, Instance
from duelbench.envs.arms.problem import FixedArms
from duelbench.envs.duel.family import environments
from duelbench.envs.duel.problem import Array, Ids
from duelbench.plugins import did_you_mean

CLICK_PRIOR = (1.38, 96.11)
"""α and β of the Beta distribution of click rates."""
COLUMNS = {"test": "clickability_test_id", "headline": "headline", "impressions": "impressions", "clicks": "clicks"}
"""The columns that are read, by their names in the archive; ``predicted`` may be added."""


class ArchiveError(ValueError):
    """A file that is no archive of headline tests, or holds none that can be played."""


@dataclass(frozen=True, slots=True)
class HeadlineInstance(Instance):
    """One test.

    Attributes:
        predicted_rates: what the predictor says of the click rates, (K,).
    """

    predicted_rates: Floats | None = None


@dataclass(slots=True)
class Headline:
    """What a test found out about one headline.

    Attributes:
        impressions: readers who saw it.
        clicks: those of them who clicked.
        predicted: click rate as predicted; NaN if the file has none.
    """

    impressions: int = 0
    clicks: int = 0
    predicted: float = float("nan")

    @property
    def rate(self) -> float:
        """Posterior mean of the click rate."""
        alpha, beta = CLICK_PRIOR
        return (alpha + self.clicks) / (alpha + beta + self.impressions)


def read_archive(path: str | Path, columns: Mapping[str, str] | None = None) -> dict[str, dict[str, Headline]]:
    """Headlines by test from a CSV file with a header, packages that share a headline are summed.

    Args:
        path: the file.
        columns: names that differ from ``COLUMNS``; ``predicted`` names a column of predicted click rates.

    Raises:
        ArchiveError: a column is unknown or missing, or a line makes no sense.
    """
    names = COLUMNS | dict(columns or {})
    for key in names.keys() - COLUMNS.keys() - {"predicted"}:
        known = [*COLUMNS, "predicted"]
        raise ArchiveError(f"the archive has no {key!r}: expected one of {known}" + did_you_mean(key, known))
    tests: dict[str, dict[str, Headline]] = {}
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := sorted(set(names.values()) - set(reader.fieldnames or ())):
                raise ArchiveError(f"{path} has no column {', '.join(map(repr, missing))}: name yours with `columns`")
            for row in reader:
                _add_package(tests, row, names, f"{path}: line {reader.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArchiveError(f"{path} cannot be read as a CSV file: {error}") from error
    return tests


def _add_package(
    tests: dict[str, dict[str, Headline]], row: dict[str, Any], names: Mapping[str, str], place: str
) -> None:
    try:
        impressions, clicks = (int(row[names[key]]) for key in ("impressions", "clicks"))
        predicted = float(row[names["predicted"]]) if "predicted" in names else float("nan")
    except (TypeError, ValueError) as error:
        raise ArchiveError(f"{place}: expected numbers of impressions and clicks: {error}") from error
    if not 0 <= clicks <= impressions:
        raise ArchiveError(f"{place}: expected clicks between 0 and {impressions} impressions, got {clicks}")
    if "predicted" in names and not 0.0 <= predicted <= 1.0:
        raise ArchiveError(f"{place}: expected a predicted click rate in [0, 1], got {predicted}")
    headline = tests.setdefault(row[names["test"]], {}).setdefault(row[names["headline"]], Headline())
    headline.impressions += impressions
    headline.clicks += clicks
    headline.predicted = predicted


class HeadlineFamily(Family):
    """Headline tests, synthetic or of an archive: a random test with enough headlines, and K of them at random.

    Args:
        arms: K, headlines of a test. The archive's exploratory part has 4.7 packages a test.
        archive: CSV file; None for synthetic click rates.
        columns: see ``read_archive``.
        predictor_noise: s, of the predicted logit; ignored if the file has predictions.
    """

    def __init__(
        self,
        arms: int = 5,
        archive: str | None = None,
        columns: Mapping[str, str] | None = None,
        predictor_noise: float = 1.0,
    ) -> None:
        if arms < 2 or not predictor_noise >= 0:
            raise ValueError(
                f"expected at least 2 arms and predictor_noise of at least 0, got {arms} and {predictor_noise}"
            )
        if columns and archive is None:
            raise ValueError("columns name those of an archive: give its file too")
        self.arms, self.predictor_noise = arms, predictor_noise
        self.name = "a headline test" if archive is None else f"a headline test of {Path(archive).name}"
        tests = {} if archive is None else read_archive(archive, columns)
        self._tests = [list(test.values()) for test in tests.values() if len(test) >= arms]
        if archive is not None and not self._tests:
            raise ArchiveError(f"none of the {len(tests)} tests in {archive} has {arms} headlines: take fewer arms")

    def draw(self, rng: np.random.Generator) -> Instance:
        """One test."""
        if self._tests:
            test = self._tests[rng.integers(len(self._tests))]
            drawn = [test[k] for k in rng.permutation(len(test))[: self.arms]]
            rates, predicted = (np.array([getattr(h, name) for h in drawn]) for name in ("rate", "predicted"))
        else:
            rates, predicted = rng.beta(*CLICK_PRIOR, self.arms), np.full(self.arms, np.nan)
        if np.isnan(predicted).any():
            predicted = expit(logit(rates) + self.predictor_noise * rng.standard_normal(self.arms))
        preferences = LINKS["linear"](rates[:, None] - rates)
        return HeadlineInstance(preferences, rates, link="linear", predicted_rates=predicted)

    def guides(self, instance: Instance) -> list[Guide]:
        """Uniform pairs and the best arm against a uniform one."""
        assert instance.utilities is not None
        return trivial_guides("cumulative_average_regret", float(instance.utilities.max() - instance.utilities.mean()))


class HeadlineDuel(FixedArms):
    """Duels between two headlines of a test, most of which tie. Observations show ``predicted_rates``.

    Args:
        arms: headlines of a test.
        archive: CSV file of headline tests (``duelbench.envs.arms.headlines.COLUMNS``); None for synthetic ones.
        columns: names of the file's columns where they differ; ``predicted`` names one of predicted click rates.
        predictor_noise: standard deviation of the predicted click rate's error, on the logit scale.
        position_bias: share of the duels in which the first headline wins just for being first.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("HeadlineDuel-v0", horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation["predicted_rates"].shape
    (5,)
    """

    def __init__(
        self,
        arms: int = 5,
        archive: str | None = None,
        columns: Mapping[str, str] | None = None,
        predictor_noise: float = 1.0,
        position_bias: float = 0.0,
    ) -> None:
        super().__init__(HeadlineFamily(arms, archive, columns, predictor_noise), position_bias)
        assert isinstance(self.observation_space, Dict)
        shown = {"predicted_rates": Box(0.0, 1.0, (self.arms,), np.float32)}
        self.observation_space = Dict(self.observation_space.spaces | shown)

    def make_room(self, rows: int) -> None:
        """Room for B tests and their predictions."""
        super().make_room(rows)
        self._rates = np.zeros((rows, self.arms))
        self._predicted = np.zeros((rows, self.arms), np.float32)

    def begin(self, row: int, rng: np.random.Generator, instance: int | None) -> None:
        """Draw the row's test."""
        super().begin(row, rng, instance)
        drawn = self.instances[row]
        assert isinstance(drawn, HeadlineInstance) and drawn.utilities is not None
        self._rates[row], self._predicted[row] = drawn.utilities, drawn.predicted_rates

    def observe(self, ids: Ids) -> dict[str, Any]:
        """What fixed arms show, and the predictions."""
        return super().observe(ids) | {"predicted_rates": self._predicted[ids]}

    def ties(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array:
        """Both clicked or none, where position does not decide."""
        first, second = self._rates[ids, firsts], self._rates[ids, seconds]
        return (1.0 - self.position_bias) * (first * second + (1.0 - first) * (1.0 - second))


HeadlineDuelEnv, HeadlineDuelVectorEnv = environments(HeadlineDuel)
