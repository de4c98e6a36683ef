"""A sweep on a real Ray cluster of two nodes, one of which is killed in the middle of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own warnings and its open sockets are not ours to mend

from journals import journal_of  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from duelbench.records.spec import RunSpec  # noqa: E402
from duelbench.runs.engines import make_engine  # noqa: E402
from duelbench.runs.execute import execute  # noqa: E402
from duelbench.runs.recording.run_folder import RunFolder  # noqa: E402
from duelbench.study.sweep import AgentSetting, Sweep  # noqa: E402

LABELS = 192
SWEEP = Sweep(
    title="on two machines",
    envs=["LLMDuelPool-v0"],
    agents=["online", AgentSetting("sea", {"candidates": 4, "posterior.samples": 3})],
    seeds=3,
    labels=LABELS,
)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """Two nodes of one CPU each: that of the driver, and another."""
    memory = 100 * 2**20
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False},
    )
    other = cluster.add_node(num_cpus=1, object_store_memory=memory)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster, other
    ray.shutdown()
    cluster.shutdown()


def records(out: Path, specs: list[RunSpec]) -> list[Any]:
    found = []
    for spec in specs:
        folder = RunFolder.at(out, spec).path
        journal = journal_of(folder)
        found.append(((folder / "metrics.jsonl").read_bytes(), journal.answers()))
        journal.close()
    return found


def test_a_sweep_survives_the_death_of_a_node_bit_for_bit(cluster: tuple[Any, Any], tmp_path: Path) -> None:
    specs = [run.spec for run in SWEEP.plan("two").runs]
    whole = execute(specs, tmp_path / "inline", engine=make_engine("inline"))
    begun = threading.Event()

    def kill() -> None:
        """Once two runs are under way: with one CPU a node, one of them is there."""
        while sum(1 for spec in specs if RunFolder.at(tmp_path / "ray", spec).labels_used() > 0) < 2:
            time.sleep(0.05)
        begun.set()
        cluster[0].remove_node(cluster[1], allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    outcomes = execute(specs, tmp_path / "ray", workers=None, engine=make_engine("ray"))
    killer.join(60)
    assert begun.is_set()
    while sum(node["Alive"] for node in ray.nodes()) != 1:  # the cluster takes a while to notice
        time.sleep(0.5)
    assert not [outcome.error for outcome in (*whole, *outcomes) if outcome.error]
    assert records(tmp_path / "ray", specs) == records(tmp_path / "inline", specs)
    assert all(len(answers) == LABELS for _, answers in records(tmp_path / "ray", specs))
