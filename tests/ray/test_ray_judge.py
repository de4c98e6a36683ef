"""A judge over HTTP held by a Ray actor, against the same judge in this process, both at a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import chat_server, completion
from journals import journal_of
from pool_runs import spec_of

from duelbench.errors import OracleRaisedError
from duelbench.oracles import make_oracle
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.policy_loop import run
from duelbench.runs.recording.run_folder import RunFolder

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own warnings and its open sockets are not ours to mend
WAYS = ("", "ray:")
UP = 24  # requests that are answered


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A CPU and a small object store."""
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    yield
    ray.shutdown()


def longer(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
    """Likes the longer answer, and A where both are as long."""
    found = re.search(r"Answer A: (.*)\n\nAnswer B: (.*)\n", body["messages"][0]["content"], re.DOTALL)
    a, b = found.groups() if found else ("aa", "a")
    return 200, completion("A" if len(a) >= len(b) else "B")


def dying(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
    """The same, until it is down for good."""
    return longer(number, body) if number < UP else (503, b"{}")


def spec(oracle: str, task: str) -> RunSpec:
    connection = {"concurrency": 1, "attempts": 2, "pause": 0.0}
    kwargs = {"task": task, "oracle": oracle, "oracle_kwargs": {"connection": connection}}
    return spec_of("online", kwargs, labels=32, judging=Judging(prompts=0, every=0))


def labels(folder: Path) -> list[tuple[int, int]]:
    journal = journal_of(folder)
    found = [(answer.duel, int(answer.verdict)) for answer in journal.answers()]
    journal.close()
    return found


def test_a_judge_in_an_actor_is_the_judge_in_this_process(task_file: str, tmp_path: Path) -> None:
    duels = ["p"] * 3, ["long answer", "no", "same"], ["yes", "longer still", "size"]
    seen = []
    with chat_server(longer) as server:
        for way in WAYS:
            name = f"{way}judge:{server.url}#small"
            oracle: Any = make_oracle(name)
            assert oracle.preference(*duels).tolist() == [1.0, 0.0, 0.5]
            assert oracle.flips(*duels).tolist() == [False, False, True]
            folder = run(spec(name, task_file), tmp_path / f"way {way}")
            seen.append((labels(folder), (folder / "metrics.jsonl").read_bytes()))
    assert len(seen[0][0]) == 32 and b"flipped_answers" in seen[0][1] and seen[0] == seen[1]


def test_a_judge_that_goes_down_in_a_batch_loses_no_more_in_an_actor(task_file: str, tmp_path: Path) -> None:
    kept = []
    for way in WAYS:
        with chat_server(dying) as server:
            played = spec(f"{way}judge:{server.url}#small", task_file)
            with pytest.raises(OracleRaisedError, match="503"):
                run(played, tmp_path / f"way {way}")
        kept.append(labels(RunFolder.at(tmp_path / f"way {way}", played).path))
    assert 0 < len(kept[0]) <= UP // 2 and kept[0] == kept[1]  # two requests a duel
