"""Small studies with known outcomes, and a reader of pages, for the tests of what is reported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from duelbench.records.record import Run, SeedRows
from duelbench.records.spec import RunSpec
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.study.suite import TASKS

ROLES = {"uniform": "floor", "oracle": "ceiling"}
ARMS = np.array([0.0, 10.0, 100.0])
VOID = {"meta", "source", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Checks that tags nest, and keeps text, links, targets and images."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.images: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.links |= {found["href"] or ""} if "href" in found else set()
        self.ids += [found["id"] or ""] if "id" in found else []
        self.images += [found["src"] or ""] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data


def pool_run(agent: str, seed: int, win_rate: float, task: str = "A", **changes: Any) -> Run:
    """A finished run on a pool that climbs linearly to a win rate over 100 labels."""
    rows = [{"labels": x, "offline_win_rate": 0.5 + (win_rate - 0.5) * x / 100} for x in (0.0, 50.0, 100.0)]
    spec = {"env": "LLMDuelPool-v0", "env_kwargs": {"task": task}, "agent": agent, "seed": seed, "labels": 100}
    timing = [{"labels": r["labels"], "wall_seconds": r["labels"] / 10, "generated_tokens": 0.0} for r in rows]
    made: dict[str, Any] = {
        "run_id": f"{task}-{agent}-{seed}",
        "spec": spec,
        "rows": rows,
        "timing": timing,
        "samples": [],
        "finished": True,
        "manifest": {"command": "duelbench sweep x", "judge": "lexicon", "role": ROLES.get(agent, "rival")},
    }
    return Run(**(made | changes))


def write_pool_runs(out: Path, agents: Sequence[str] = ("online", "sea"), seeds: int = 3) -> None:
    """Finished runs on a pool, on disk; each agent ends 0.1 above the one before it."""
    for place, agent in enumerate(agents):
        for seed in range(seeds):
            run = pool_run(agent, seed, 0.6 + 0.1 * place + 0.01 * seed)
            folder = RunFolder.at(out, RunSpec("LLMDuelPool-v0", agent, seed, 100, old_id=f"{place}0{seed}"))
            folder.path.mkdir(parents=True)
            folder.write_manifest("duelbench run", {"judge": "lexicon", "role": "rival", "arms": False})
            for row, timing in zip(run.rows, run.timing, strict=True):
                folder.append(row, timing)
            folder.finish([])


def suite_run(agent: str, seed: int, regret: float, task: str = "basic", **changes: Any) -> Run:
    """A seed of a lock-step run on a task of the behaviour suite that ends at a regret."""
    (played,) = (t for t in TASKS if t.name == task)
    spec = {
        "env": played.env,
        "env_kwargs": played.kwargs,
        "agent": agent,
        "seed": seed,
        "labels": 100,
        "lockstep": 10,
        "task": task,
    }
    rows = SeedRows(ARMS, {"cumulative_average_regret": ARMS / 100 * regret})
    made: dict[str, Any] = {
        "run_id": f"{task}-{agent}/{seed}",
        "spec": spec,
        "rows": rows,
        "samples": [],
        "finished": True,
        "timing": [{"labels": x, "wall_seconds": x / 100} for x in ARMS.tolist()],
        "manifest": {"guides": [], "arms": True, "role": ROLES.get(agent, "rival")},
    }
    return Run(**(made | changes))
