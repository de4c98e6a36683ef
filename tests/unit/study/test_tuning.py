"""Studies: the space, the score, who proposes, and that an interruption changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")
sqlalchemy = pytest.importorskip("sqlalchemy")  # which Optuna brings

from chat_server import chat_server  # noqa: E402
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402
from optuna.study import StudyDirection  # noqa: E402
from optuna.trial import TrialState, create_trial  # noqa: E402

from duelbench.records.record import Run  # noqa: E402
from duelbench.records.spec import RunSpec  # noqa: E402
from duelbench.runs.engines.outcome import Outcome  # noqa: E402
from duelbench.runs.recording.run_folder import RunFolder  # noqa: E402
from duelbench.study.tuning.llm import LLMSampler, make_proposer, question, read_answer  # noqa: E402
from duelbench.study.tuning.record import Budget, best_trial, document, markdown, proposals  # noqa: E402
from duelbench.study.tuning.samplers import sampler_factory  # noqa: E402
from duelbench.study.tuning.space import Setting, grid, holds, parse_space  # noqa: E402
from duelbench.study.tuning.study import Objective, Tuning  # noqa: E402

SEEDS = (1000, 1001)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A trial is a dozen transactions of Optuna's and two manifests."""

    def loosen(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("duelbench.records.provenance.installed_versions", dict)
    monkeypatch.setattr("duelbench.records.provenance.git_state", str)
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", loosen)
    yield
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", loosen)


SPACE = parse_space(["learner.learning_rate=log:1e-4:1", "policy.hidden=choice:64,128", "toy.candidates=int:2:10:4"])


# Space


def test_ranges_are_what_they_say() -> None:
    space = parse_space(
        [
            "a=log:1e-4:0.1",
            "b=float:-1:2",
            "c=int:4:32",
            "d=int:4:32:4",
            "e=logint:1:8",
            "f=choice:64,bai,true,null,data/a:b",
        ]
    )
    assert space == {
        "a": FloatDistribution(1e-4, 0.1, log=True),
        "b": FloatDistribution(-1.0, 2.0),
        "c": IntDistribution(4, 32),
        "d": IntDistribution(4, 32, step=4),
        "e": IntDistribution(1, 8, log=True),
        "f": CategoricalDistribution([64, "bai", True, None, "data/a:b"]),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "NAME=KIND:RANGE"),
        ("a=3", "NAME=KIND:RANGE"),
        ("a=lgo:1:2", "did you mean 'log'"),
        ("a=log:0:1", "LOW is above 0"),
        ("a=float:2:1", "LOW < HIGH"),
        ("a=float:nan:1", "LOW < HIGH"),
        ("a=float:0:inf", "LOW < HIGH"),
        ("a=int:1.5:3", "expected int:LOW:HIGH"),
        ("a=float:1:2:3", "expected float:LOW:HIGH"),
        ("a=int:1:8:0", "step at least 1"),
        ("a=int:1:8:2", "do not end at 8"),
        ("a=float:1", "expected float:LOW:HIGH"),
        ("a=choice:64", "two different choices"),
        ("a=choice:64,64", "two different choices"),
        ("a=choice:1,[2]", "a number, a word"),
    ],
)
def test_a_bad_range_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="--search") as error:
        parse_space([text])
    assert said in str(error.value)


def test_a_grid_is_every_setting_once() -> None:
    settings = grid(parse_space(["a=choice:x,y", "b=int:1:7:3"]))
    assert settings == [{"a": a, "b": b} for a in "xy" for b in (1, 4, 7)]
    with pytest.raises(ValueError, match="a grid needs choices or int ranges, but b is a number from 0 to 1"):
        grid(parse_space(["b=float:0:1"]))


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("learner.learning_rate", [1e-4, 0.5, 1], [0.0, 2, True, "0.5", None, float("nan")]),
        ("policy.hidden", [64, 128], [64.0, 65, "64", True]),
        ("toy.candidates", [2, 6, 10], [3, 6.0, 14]),
    ],
)
def test_a_range_holds_its_own_values_only(name: str, inside: list[Any], outside: list[Any]) -> None:
    assert all(holds(SPACE[name], value) for value in inside)
    assert not any(holds(SPACE[name], value) for value in outside)


# Score


def recorded(**curves: list[float]) -> Run:
    rows = [dict(zip(curves, values, strict=True)) for values in zip(*curves.values(), strict=True)]
    return Run("id", {}, rows, [], [], True, {})


def test_a_score_is_the_height_of_the_curve_or_its_end() -> None:
    run = recorded(labels=[0, 10, 40], offline_win_rate=[0.2, 0.4, 0.8], cumulative_average_regret=[0.0, 5.0, 9.0])
    by_hand = (10 * 0.3 + 30 * 0.6) / 40  # trapezoids: evaluations need not be even
    assert Objective(("offline_win_rate",)).score(run) == pytest.approx(by_hand)
    assert Objective(("offline_win_rate",), at_end=True).score(run) == 0.8
    assert Objective(("cumulative_average_regret",)).score(run) == 9.0  # a sum already
    assert Objective(("offline_win_rate",)).direction == "maximize"
    assert Objective(("cumulative_average_regret",)).direction == "minimize"
    assert Objective(("simple_regret", "offline_win_rate")).metric_of(run) == "offline_win_rate"
    with pytest.raises(ValueError, match=r"record no simple_regret; they record .*'labels'"):
        Objective(("simple_regret",)).score(run)
    with pytest.raises(ValueError, match="did you mean 'offline_win_rate'"):
        Objective(("offline_winrate",))


# Studies of a known function


def specs_of(setting: Setting) -> list[RunSpec]:
    shared = {"env": "Toy", "agent": "toy", "labels": 10, "agent_options": setting}
    return [RunSpec(**shared, seed=seed) for seed in SEEDS]


def height(spec: RunSpec) -> float:
    """Best at a learning rate of 0.01, hidden 128."""
    options = spec.agent_options
    distance = abs(np.log10(options.get("learner.learning_rate", 0.01)) + 2)
    return float(1 - 0.1 * distance - 0.05 * (options.get("policy.hidden") == 64) + 0.001 * (spec.seed == SEEDS[0]))


class Toy:
    """Plays runs whose metric is known, and records them as the runner does."""

    def __init__(self, out: Path, fail: Callable[[RunSpec], bool] = lambda spec: False, stop: int = -1) -> None:
        self.out, self.fail, self.stop, self.calls = out, fail, stop, 0

    def __call__(self, specs: Sequence[RunSpec]) -> list[Outcome]:
        self.calls += 1
        if self.calls == self.stop:
            raise KeyboardInterrupt
        return [self._one(spec) for spec in specs]

    def _one(self, spec: RunSpec) -> Outcome:
        folder = RunFolder(self.out / "runs" / spec.folder_name, spec)
        if not folder.finished:
            folder.write_manifest("", {})
            folder.append({"labels": 0, "offline_win_rate": 0.5}, {"labels": 0, "wall_seconds": 0.0})
            timing = {"labels": 10, "wall_seconds": 2.0, "generated_tokens": 7.0}
            folder.append({"labels": 10, "offline_win_rate": height(spec)}, timing)
            if self.fail(spec):
                return Outcome(spec, None, "Traceback\nValueError: too steep\n")
            folder.finish([])
        return Outcome(spec, folder.path)


def tuning(toy: Toy, sampler: str = "random", trials: int = 8, proposer: Any = None, **options: Any) -> Tuning:
    space = options.pop("space", SPACE)
    return Tuning(
        space=space,
        specs_of=specs_of,
        play=toy,
        objective=Objective(("offline_win_rate",), at_end=True),
        sampler=sampler_factory(sampler, space, 0, proposer),
        trials=trials,
        settings=options.pop("settings", {"sampler": sampler}),
        **options,
    )


def told(study: Any) -> list[tuple[Any, ...]]:
    return [(t.number, t.state, t.params, t.value, t.user_attrs) for t in study.get_trials()]


def test_tpe_finds_the_top_of_a_known_function(tmp_path: Path) -> None:
    study = tuning(Toy(tmp_path), "tpe", trials=30).go(tmp_path)
    best = best_trial(study)
    assert best is not None and best.params["policy.hidden"] == 128
    assert abs(np.log10(best.params["learner.learning_rate"]) + 2) < 0.3
    by_hand = np.mean([height(spec) for spec in specs_of(best.params)])
    assert best.value == pytest.approx(by_hand)


def scripted(asked: str, rng: np.random.Generator) -> tuple[str, int]:
    """A model whose answer depends on its generator: sometimes good, sometimes not."""
    rate = float(10 ** rng.uniform(-5, 0))
    return json.dumps({"learner.learning_rate": rate, "policy.hidden": 64, "toy.candidates": 6}), 11


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "gp", "grid", "llm"])
def test_an_interrupted_study_goes_on_as_if_it_had_not_been(sampler: str, tmp_path: Path) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    texts = ["a=choice:1,2,3", "b=int:0:3"] if sampler == "grid" else ["learner.learning_rate=log:1e-4:1", "b=int:0:9"]
    options: dict[str, Any] = {"space": SPACE if sampler == "llm" else parse_space(texts), "trials": 12}
    whole = tuning(Toy(tmp_path / "a"), sampler, proposer=scripted, **options).go(tmp_path / "a")
    for stop in (3, 8):
        with pytest.raises(KeyboardInterrupt):
            tuning(Toy(tmp_path / "b", stop=stop), sampler, proposer=scripted, **options).go(tmp_path / "b")
    pieces = tuning(Toy(tmp_path / "b"), sampler, proposer=scripted, **options).go(tmp_path / "b")
    assert told(pieces) == told(whole) and len(told(whole)) == 12
    assert len({str(trial.params) for trial in whole.get_trials()}) > 6  # it does not repeat its first draw


def test_a_finished_study_is_played_no_more_and_can_be_prolonged(tmp_path: Path) -> None:
    first = told(tuning(Toy(tmp_path), trials=3).go(tmp_path))
    again = Toy(tmp_path)
    assert told(tuning(again, trials=3).go(tmp_path)) == first and again.calls == 0
    longer = told(tuning(Toy(tmp_path), trials=5).go(tmp_path))
    assert longer[:3] == first and len(longer) == 5


def test_a_folder_keeps_to_one_study(tmp_path: Path) -> None:
    tuning(Toy(tmp_path), trials=1, settings={"env": "Toy", "seeds": 2}).go(tmp_path)
    with pytest.raises(ValueError, match="differs in seeds: choose another --out"):
        tuning(Toy(tmp_path), trials=1, settings={"env": "Toy", "seeds": 3}).go(tmp_path)


def test_failed_trials_are_counted_and_the_budget_is_what_the_runs_recorded(tmp_path: Path) -> None:
    space = parse_space(["policy.hidden=choice:64,128"])

    def steep(spec: RunSpec) -> bool:
        return spec.agent_options.get("policy.hidden") == 64

    plan = tuning(Toy(tmp_path, fail=steep), "random", trials=6, space=space)
    study = plan.go(tmp_path)
    states = [trial.state for trial in study.get_trials()]
    failed = states.count(TrialState.FAIL)
    assert 0 < failed < 6
    budget = Budget.of(study, specs_of, tmp_path)
    assert (budget.trials, budget.complete, budget.failed) == (6, 6 - failed, failed)
    assert (budget.runs, budget.labels, budget.tokens, budget.seconds) == (4, 40, 28, 8.0)  # two settings, two seeds
    content = document(study, plan.objective, budget, "duelbench run", "duelbench tune")
    rows = content["trials"]
    assert {row["error"] for row in rows if row["state"] == "failed"} == {"ValueError: too steep"}
    assert json.loads(json.dumps(content)) == content
    page = markdown(content)
    assert "final offline win rate" in page and "ValueError: too steep" in page and "40 labels" in page


def test_the_median_pruner_saves_the_later_seeds_of_bad_settings(tmp_path: Path) -> None:
    plan = tuning(Toy(tmp_path), "random", trials=14, pruning=True)
    study = plan.go(tmp_path)
    pruned = [trial for trial in study.get_trials() if trial.state == TrialState.PRUNED]
    complete = [trial for trial in study.get_trials() if trial.state == TrialState.COMPLETE]
    assert pruned and len(complete) >= 5  # the first five set the median
    for trial in pruned:
        first, second = specs_of(trial.params)
        assert (tmp_path / "runs" / first.folder_name).exists()
        assert not (tmp_path / "runs" / second.folder_name).exists()
        before = [t.intermediate_values[1] for t in complete if t.number < trial.number]
        assert height(first) < np.median(before)
    assert best_trial(study) in complete


# The language model


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ('{"learner.learning_rate": 0.02, "policy.hidden": 64, "toy.candidates": 6}', "used"),
        ('Sure! {oh}\n```json\n{"toy.candidates": 6, "policy.hidden": 64, "learner.learning_rate": 1}```', "used"),
        ('{"learner.learning_rate": 0.01, "policy.hidden": 128, "toy.candidates": 2}', "repeated"),
        ('{"learner.learning_rate": 0.010000004, "policy.hidden": 128, "toy.candidates": 2}', "repeated"),
        ('{"learner.learning_rate": 2.0, "policy.hidden": 64, "toy.candidates": 6}', "outside"),
        ('{"learner.learning_rate": 0.02, "policy.hidden": "64", "toy.candidates": 6}', "outside"),
        ('{"learner.learning_rate": 0.02, "policy.hidden": 64}', "outside"),
        ('{"learner.learning_rate": NaN, "policy.hidden": 64, "toy.candidates": 6}', "outside"),
        ('{"learner.learning_rate": 0.02, "policy.hidden": 64, "toy.candidates": 6, "more": 1}', "outside"),
        ("a rate of 0.02", "unreadable"),
        ('{"learner.learning_rate": 0.02, ', "unreadable"),
        ("{" * 5000, "unreadable"),
        ("", "unreadable"),
    ],
)
def test_an_answer_is_used_or_named_for_what_is_wrong_with_it(answer: str, outcome: str) -> None:
    before = [{"learner.learning_rate": 0.01, "policy.hidden": 128, "toy.candidates": 2}]
    setting, found = read_answer(answer, SPACE, before)
    assert found == outcome
    assert (setting is not None) == (outcome == "used")
    if setting:
        assert list(setting) == list(SPACE) and setting["toy.candidates"] == 6


def test_the_question_shows_the_space_and_the_best_settings_first() -> None:
    distributions = dict(SPACE)

    def trial(rate: float, value: float | None) -> Any:
        params = {"learner.learning_rate": rate, "policy.hidden": 64, "toy.candidates": 2}
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        return create_trial(params=params, distributions=distributions, value=value, state=state)

    before = [trial(0.1, 0.4), trial(0.123456, 0.7), trial(0.3, None)]
    text = question(SPACE, before, StudyDirection.MAXIMIZE)
    assert text.index("0.1235") < text.index('"learner.learning_rate": 0.1,') < text.index("failed")
    assert "Higher scores are better" in text and "a number from 0.0001 to 1 on a logarithmic scale" in text
    assert "- policy.hidden: one of 64, 128" in text and "in steps of 4" in text
    lower = question(SPACE, before, StudyDirection.MINIMIZE)
    assert lower.index("scored 0.4") < lower.index("scored 0.7") and "Lower scores" in lower
    assert "nothing yet" in question(SPACE, [], StudyDirection.MAXIMIZE)


def test_the_model_and_tpe_take_turns_and_bad_answers_are_tpes(tmp_path: Path) -> None:
    asked: list[str] = []
    good = {"learner.learning_rate": 1, "policy.hidden": 64, "toy.candidates": 10}
    answers = [json.dumps(good), "no idea", json.dumps(good), json.dumps(good | {"policy.hidden": 7})]

    def model(text: str, rng: np.random.Generator) -> tuple[str, int]:
        asked.append(text)
        return answers[len(asked) - 1], 5

    study = tuning(Toy(tmp_path), "llm", trials=8, proposer=model).go(tmp_path)
    trials, played = study.get_trials(), list(tmp_path.glob("runs/*"))
    assert trials[0].params == good and specs_of(trials[0].params)[0].run_id in {path.name[-12:] for path in played}
    assert "nothing yet" in asked[0] and "scored" in asked[1]
    assert [t.user_attrs["proposal"]["outcome"] for t in trials[::2]] == ["used", "unreadable", "repeated", "outside"]
    assert not any("proposal" in trial.user_attrs for trial in trials[1::2])
    assert all(holds(SPACE[name], value) for trial in trials for name, value in trial.params.items())
    assert proposals(study) == {"used": 1, "unreadable": 1, "outside": 1, "repeated": 1}
    assert Budget.of(study, specs_of, tmp_path).proposer_tokens == 20


def test_the_sampler_works_in_a_study_of_ones_own() -> None:
    """Optuna's own loop, with nothing of ours around it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = parse_space(["x=float:0:1"])
    study = optuna.create_study(sampler=LLMSampler(space, lambda text, rng: (f'{{"x": {rng.random()}}}', 1), seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
    assert ["proposal" in trial.user_attrs for trial in study.trials] == [True, False, True, False]


def test_an_endpoint_proposes_and_its_tokens_are_counted() -> None:
    reply = {"choices": [{"message": {"content": '{"x": 0.5}'}}], "usage": {"completion_tokens": 9}}
    with chat_server(lambda number, asked: (200, json.dumps(reply).encode())) as server:
        propose = make_proposer(f"{server.url}#small")
        assert propose("what?", np.random.default_rng(0)) == ('{"x": 0.5}', 9)
        assert propose("what?", np.random.default_rng(0)) == ('{"x": 0.5}', 9)
    assert server.prompts == ["what?"] * 2 and server.bodies[0]["model"] == "small"


def test_a_proposer_that_cannot_be_is_named() -> None:
    with pytest.raises(ValueError, match="URL#MODEL"):
        make_proposer("http://localhost:8000/v1")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        make_proposer("./nowhere")


def test_a_local_model_answers_through_its_chat_template(llama: Path) -> None:
    model = make_proposer(str(llama))
    # 128 new tokens leave no room for a question
    with pytest.raises(ValueError, match="exceed the 128 that the model reads"):
        model("what?", np.random.default_rng(0))
