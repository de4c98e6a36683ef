"""Ray actors against the same things in one process, on a real local Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own warnings and its open sockets are not ours to mend

import torch  # noqa: E402

from duelbench.assets.model_source import ModelUnavailableError, resolve_model  # noqa: E402
from duelbench.oracles import make_oracle  # noqa: E402
from duelbench.oracles.checks import OracleError  # noqa: E402
from duelbench.policies.causal_lm import CausalLMPolicy  # noqa: E402
from duelbench.protocols import Oracle, UtilityOracle  # noqa: E402
from duelbench.records.answers.journal import Journal  # noqa: E402
from duelbench.records.answers.journaled_oracle import is_free  # noqa: E402
from duelbench.records.spec import Judging, RunSpec  # noqa: E402
from duelbench.runs.engines.ray_actors import place, run_on_ray  # noqa: E402
from duelbench.runs.policy_loop import run  # noqa: E402

PROMPTS = {"prompt": ["Write a story about a fox.", "Describe a small lantern."]}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two CPUs and a small object store."""
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    yield
    ray.shutdown()


def spec(oracle: str, sampler: str, labels: int = 64, **env: Any) -> RunSpec:
    policy = {"model": "tiny", "max_new_tokens": 12, "sampler": sampler}
    return RunSpec(
        env="LLMDuel-v0",
        agent="online",
        seed=3,
        labels=labels,
        batch=16,
        judging=Judging(every=32, repeats=1),
        env_kwargs={"oracle": oracle, **env},
        policy=policy,
        learner={"learning_rate": 1e-3},
    )


def metrics(folder: Path) -> bytes:
    return (folder / "metrics.jsonl").read_bytes()


def answers(played: RunSpec, folder: Path) -> list[Any]:
    journal = Journal(folder / "journal.sqlite", played.run_id)
    try:
        return journal.answers()
    finally:
        journal.close()


def test_a_run_of_three_actors_is_the_run_of_one_process(tmp_path: Path) -> None:
    local, remote = spec("reader", "own"), spec("ray:reader", "ray")
    here = run(local, tmp_path / "here")
    there = run_on_ray(remote, tmp_path / "there")
    assert metrics(there) == metrics(here)
    assert answers(remote, there) == answers(local, here)
    assert len(answers(remote, there)) == 64


def test_the_generator_speaks_with_the_learners_weights() -> None:
    model = resolve_model("tiny")
    own = CausalLMPolicy(model, max_new_tokens=12, sampler="own")
    remote = CausalLMPolicy(model, max_new_tokens=12, sampler="ray")
    rngs = np.random.default_rng(5), np.random.default_rng(5)

    def texts(**options: Any) -> tuple[list[str], list[str]]:
        pair = zip((own, remote), rngs, strict=True)
        first, second = (policy.sample(PROMPTS, 2, rng, **options).actions.ravel().tolist() for policy, rng in pair)
        return first, second

    before, also_before = texts(greedy=True)
    assert before == also_before
    noise = torch.Generator().manual_seed(0)
    state = {k: v + 0.3 * v.std() * torch.randn(v.shape, generator=noise) for k, v in own.state_dict().items()}
    own.load_state_dict(state)
    remote.load_state_dict(state)
    after, also_after = texts(greedy=True)
    assert after == also_after != before
    for options in ({}, {"reference": True}, {}):  # the second sampled draw follows from the first one's random state
        expected, drawn = texts(**options)
        assert drawn == expected
    assert rngs[0].random() == rngs[1].random()


def test_a_killed_oracle_owes_no_answer_and_gives_none_twice(tmp_path: Path) -> None:
    asked = {}
    for where in ("here", "there"):
        log = tmp_path / where / "log"
        log.parent.mkdir()
        kwargs = {"log": str(log), "dies": where == "there"}
        prefix, play = ("ray:", run_on_ray) if where == "there" else ("", run)
        played = spec(f"{prefix}{Path(__file__).with_name('mortal.py')}:Mortal", "own", oracle_kwargs=kwargs)
        folder = play(played, tmp_path / where)
        bought = answers(played, folder)
        assert [answer.duel for answer in bought] == list(range(64))
        asked[where] = log.read_text().splitlines(), bought, metrics(folder)
    assert (tmp_path / "there" / "log.died").exists()
    assert len(asked["there"][0]) > 4
    assert asked["there"] == asked["here"]


def test_a_remote_oracle_is_what_the_inner_one_is(oracles: str) -> None:
    texts = [["p", "p"], ["odd worth 1.0", "even worth 2.0"], ["even worth 0.5", "even worth -1.0"]]
    for name, knows in (("Worth", True), ("Picky", False)):
        inner, outer = make_oracle(f"{oracles}:{name}"), make_oracle(f"ray:{oracles}:{name}")
        assert outer.name == inner.name
        assert is_free(outer) is is_free(inner) is (name == "Worth")
        assert isinstance(outer, Oracle)
        assert isinstance(outer, UtilityOracle) is isinstance(inner, UtilityOracle) is knows
        np.testing.assert_array_equal(outer.preference(*texts), inner.preference(*texts))  # NaN where it failed
        if isinstance(outer, UtilityOracle):
            np.testing.assert_array_equal(outer.utilities(*texts[:2]), inner.utilities(*texts[:2]))


def test_errors_come_out_as_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OracleError, match=r"unknown oracle 'raeder'.*did you mean 'reader'"):
        make_oracle("ray:raeder")
    missing = spec("reader", "own")
    missing.policy["model"] = str(tmp_path / "nothing")
    with pytest.raises(ModelUnavailableError, match="there is no folder"):
        run_on_ray(missing, tmp_path)
    monkeypatch.setattr("duelbench.runs.engines.ray_actors._SECONDS_TO_PLACE", 0.5)
    with pytest.raises(RuntimeError, match=r"no room within 0.5 s for generator {'GPU': 1}"):
        place(generator={"GPU": 1})
    for _ in range(100):  # given back soon after
        if ray.available_resources()["CPU"] == 2:
            return
        time.sleep(0.1)
    raise AssertionError(f"actors were left behind: {ray.available_resources()}")


class Judge:
    """Asked in both orders: ties, of which some turned round."""

    name, gives_verdicts, portion = "judge", True, 3

    def preference(self, prompts: Any, firsts: Any, seconds: Any) -> Any:
        return np.full(len(prompts), 0.5)

    def flips(self, prompts: Any, firsts: Any, seconds: Any) -> Any:
        return np.array([first == "a" for first in firsts])


def test_what_a_judge_says_of_itself_comes_through() -> None:
    oracle: Any = make_oracle(f"ray:{Path(__file__)}:Judge")
    duels = ["p", "p"], ["a", "b"], ["b", "a"]
    assert (oracle.gives_verdicts, oracle.portion, oracle.free) == (True, 3, False)
    assert oracle.flips(*duels).tolist() == [False, False]  # nothing has been answered yet
    assert oracle.preference(*duels).tolist() == [0.5, 0.5] and oracle.flips(*duels).tolist() == [True, False]
