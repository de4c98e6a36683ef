"""A study: trials played by the ordinary runs on tuning seeds, kept by Optuna, continued where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import optuna
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from duelbench.assets.wheel_source import one_at_a_time
from duelbench.metrics import METRICS, RESULTS
from duelbench.plugins import did_you_mean
from duelbench.records.record import Run, load_run
from duelbench.records.spec import RunSpec
from duelbench.results.statistics.curves import align, area_under_curve
from duelbench.study.tuning.space import Setting, Space, suggest

if TYPE_CHECKING:
    from duelbench.runs.engines.outcome import Outcome

FIRST_SEED = 1000
"""Tuning seeds go from here up; the seeds of reported numbers stay below."""
FILE = "study.db"
SETTINGS, METRIC, SCORES, ERROR = "settings", "metric", "scores", "error"
"""User attributes: two of the study; of a trial, the scores of its seeds, and why it failed."""
_NAME = "duelbench"


@dataclass(frozen=True)
class Objective:
    """What a trial is scored by: the mean over its seeds of a metric.

    Attributes:
        metrics: the first of them that a run recorded counts.
        at_end: take the last value of a curve instead of its average height. Sums over the run (``cumulative_…``)
            always count with their last value.
    """

    metrics: tuple[str, ...]
    at_end: bool = False

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name not in RESULTS:
                raise ValueError(
                    f"unknown metric {name!r}: expected one of {list(RESULTS)}{did_you_mean(name, RESULTS)}"
                )

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Of Optuna's study."""
        return "maximize" if METRICS[self.metrics[0]].higher_is_better else "minimize"

    def words(self, metric: str | None) -> str:
        """What was scored by a metric, or would be by the first one."""
        metric = metric or self.metrics[0]
        return f"{'final' if self._ends(metric) else 'anytime mean of'} {METRICS[metric].title}"

    def metric_of(self, run: Run) -> str:
        """The metric that counts.

        Raises:
            ValueError: the run recorded none of them.
        """
        for name in self.metrics:
            if name in run.rows[-1]:
                return name
        raise ValueError(f"the runs record no {' or '.join(self.metrics)}; they record {sorted(run.rows[-1])}")

    def score(self, run: Run) -> float:
        """The score of one seed."""
        name = self.metric_of(run)
        rows = [row for row in run.rows if name in row]
        if self._ends(name) or len(rows) == 1:
            return rows[-1][name]
        curve = align([[row["labels"] for row in rows]], [[row[name] for row in rows]])
        return float(area_under_curve(curve)[0])

    def _ends(self, metric: str) -> bool:
        return self.at_end or METRICS[metric].accumulates


@dataclass(frozen=True)
class Tuning:
    """How a study goes.

    Attributes:
        space: what is searched.
        specs_of: the runs of a setting, one for each tuning seed or one for all.
        play: plays runs and says how each ended.
        objective: what trials are scored by.
        sampler: that of the n-th trial.
        trials: how many there are to be.
        settings: plain data that settles the study; a folder keeps to one.
        pruning: play the seeds of a trial one by one, and stop where its mean falls behind the median of the others.
    """

    space: Space
    specs_of: Callable[[Setting], list[RunSpec]]
    play: Callable[[Sequence[RunSpec]], Sequence[Outcome]]
    objective: Objective
    sampler: Callable[[int], BaseSampler]
    trials: int
    settings: Mapping[str, Any]
    pruning: bool = False

    def go(self, out: Path, say: Callable[[Study], None] = lambda study: None) -> Study:
        """Play what is missing of the study in a folder.

        Args:
            out: folder of the study and of its runs.
            say: told after each trial.

        Raises:
            ValueError: the folder holds a study with other settings.
        """
        out.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(out / "tuning.lock"):
            study = self._open(out)
            while (trial := self._next(study)) is not None:
                self._play(study, trial)
                say(study)
        return study

    def _open(self, out: Path) -> Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            storage=f"sqlite:///{(out / FILE).resolve()}",
            study_name=_NAME,
            load_if_exists=True,
            direction=self.objective.direction,
            pruner=MedianPruner() if self.pruning else NopPruner(),
        )
        held = study.user_attrs.get(SETTINGS)
        if held is None:
            study.set_user_attr(SETTINGS, dict(self.settings))
        elif held != self.settings:
            other = sorted(name for name in held | dict(self.settings) if held.get(name) != self.settings.get(name))
            raise ValueError(
                f"{out} holds a study that differs in {', '.join(other)}: choose another --out for this one"
            )
        return study

    def _next(self, study: Study) -> Trial | None:
        """A trial that was begun and never ended, else a new one; None when there are enough."""
        begun = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        number = begun[0].number if begun else len(study.get_trials(deepcopy=False))
        if number >= self.trials and not begun:
            return None
        study.sampler = self.sampler(number)
        return Trial(study, begun[0]._trial_id) if begun else study.ask()

    def _play(self, study: Study, trial: Trial) -> None:
        specs = self.specs_of(suggest(trial, self.space))
        scores: list[float] = []
        for group in [[spec] for spec in specs] if self.pruning else [specs]:
            for outcome in self.play(group):
                if outcome.folder is None:
                    self._fail(study, trial, (outcome.error or "").strip().rpartition("\n")[2])
                    return
                runs = load_run(outcome.folder)
                scores += map(self.objective.score, runs)
                study.set_user_attr(METRIC, self.objective.metric_of(runs[0]))
            trial.set_user_attr(SCORES, scores)
            if not np.isfinite(scores).all():
                self._fail(study, trial, f"scores {scores} are not finite")
                return
            if self.pruning and len(scores) < len(specs) and self._falls_behind(study, trial, scores):
                study.tell(trial, state=TrialState.PRUNED)
                return
        study.tell(trial, float(np.mean(scores)))

    @staticmethod
    def _falls_behind(study: Study, trial: Trial, scores: list[float]) -> bool:
        told = study.get_trials(deepcopy=False)[trial.number].intermediate_values
        if len(scores) not in told:  # it may have been told before the study was interrupted
            trial.report(float(np.mean(scores)), len(scores))
        return trial.should_prune()

    @staticmethod
    def _fail(study: Study, trial: Trial, why: str) -> None:
        trial.set_user_attr(ERROR, why)
        study.tell(trial, state=TrialState.FAIL)
