"""Kill a sweep with SIGKILL, again and again, and compare what is left in the end with a sweep that was never touched.

    python -m duelbench.experiments.reliability.kill --tries 50

Half of the kills hit one worker, which the sweep has to survive by itself, half hit all its processes, after which the
same command is given again. Answers in flight at a kill, asked but not yet written down, can be lost to it: they are
counted. No answer that was written down may ever be asked for again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track

from duelbench.envs.text.tasks.load import load_task
from duelbench.records.answers.entries import Answer
from duelbench.records.answers.journal import Journal
from duelbench.records.spec import RunSpec
from duelbench.runs.engines import make_engine
from duelbench.runs.execute import execute
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.study.sweep import AgentSetting, EnvSetting, Sweep
from duelbench.study.sweep_files import load_sweep

_FILE = "from duelbench.experiments.reliability.kill import small_sweep\n\nsweep = small_sweep({ledger!r}, {seeds})\n"
_ORACLE = "duelbench.experiments.reliability.counting:CountingReader"
_TASK = "short-writing"
_PAUSE_SECONDS = 0.5  # at most, between the first sign of life and the kill


@dataclass
class Options:
    """Options of the trial."""

    tries: int = 50
    """Kills."""
    seeds: int = 12
    """Seeds of each of two agents; a sweep that is over before its last kill begins with more."""
    workers: int = 2
    """Processes of the sweep."""
    seed: int = 0
    """Of the moments and victims."""
    out: Path = Path("results/reliability")
    """Output folder; must not exist."""


def small_sweep(ledger: str, seeds: int) -> Sweep:
    """Two agents, one that checkpoints much and one that checkpoints little."""
    env = EnvSetting("LLMDuelPool-v0", options={"task": _TASK, "oracle": _ORACLE, "oracle_kwargs": {"ledger": ledger}})
    sea = AgentSetting("sea", {"candidates": 4, "posterior.samples": 8})
    return Sweep("A sweep to be killed", [env], ["online", sea], seeds=seeds, labels=512, batch=8)


class Trial:
    """A sweep that is killed, with its ledger.

    Args:
        options: of the trial.
    """

    def __init__(self, options: Options) -> None:
        self.options, self.out = options, options.out / "killed"
        self.ledger = options.out / "ledger.jsonl"
        self.file = options.out / "killed.py"
        self.file.write_text(_FILE.format(ledger=str(self.ledger), seeds=options.seeds))
        self.specs = [run.spec for run in load_sweep(str(self.file))[1].plan("killed").runs]
        task = load_task(_TASK)
        self.heldout = {task.prompts[i] for i in task.heldout_ids}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Give the command, unless the sweep still goes."""
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-c", "from duelbench.cli.main import main; main()", "sweep", str(self.file)]
            command += ["--out", str(self.out), "--workers", str(self.options.workers)]
            self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)

    def wait_for_life(self) -> bool:
        """Until the oracle is asked something; False if the sweep came to its end instead."""
        assert self.process is not None
        before = self.ledger.stat().st_size if self.ledger.exists() else 0
        while self.process.poll() is None:
            if self.ledger.exists() and self.ledger.stat().st_size > before:
                return True
            time.sleep(0.005)
        return False

    def kill(self, *, all_of_it: bool, rng: np.random.Generator) -> None:
        """End one worker, or every process of the sweep."""
        assert self.process is not None
        workers = _workers(self.process.pid)
        if all_of_it or not workers:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        else:
            os.kill(int(rng.choice(workers)), signal.SIGKILL)

    def finish(self) -> int:
        """Let the sweep come to its end, with the command given once more if need be; its exit status."""
        self.start()
        assert self.process is not None
        return self.process.wait()

    def asked(self) -> int:
        """Duels that the oracle was asked for labels."""
        lines = self.ledger.read_text(encoding="utf-8").splitlines()
        return sum(prompt not in self.heldout for line in lines for prompt, _, _ in json.loads(line))


def journaled(out: Path, spec: RunSpec) -> list[Answer]:
    """A run's answers."""
    journal = Journal(RunFolder.at(out, spec).path / "journal.sqlite", spec.run_id)
    answers = journal.answers()
    journal.close()
    return answers


def main() -> None:
    """Kill, finish, compare, count."""
    options = tyro.cli(Options)
    options.out.mkdir(parents=True)
    options.out = options.out.resolve()
    trial, rng = Trial(options), np.random.default_rng(options.seed)
    kills = {"one worker": 0, "all": 0}
    for k in track(range(options.tries), "killing", console=Console(stderr=True)):
        trial.start()
        if not trial.wait_for_life():
            raise SystemExit(f"the sweep was over after {k} kills: give it more --seeds")
        time.sleep(float(rng.uniform(0.0, _PAUSE_SECONDS)))
        trial.kill(all_of_it=k % 2 == 1, rng=rng)
        kills["all" if k % 2 else "one worker"] += 1
    status = trial.finish()
    whole = options.out / "whole"
    (options.out / "whole.py").write_text(trial.file.read_text())
    asked = trial.asked()
    execute(trial.specs, whole, engine=make_engine("inline"))
    print(json.dumps({"kills": kills, "exit_status": status, **_compare(trial, whole, asked)}, indent=1))


def _compare(trial: Trial, whole: Path, asked: int) -> dict[str, object]:
    """The killed sweep beside the untouched one."""
    different, answers, bought = [], 0, 0
    for spec in trial.specs:
        ours, theirs = RunFolder.at(trial.out, spec).path, RunFolder.at(whole, spec).path
        mine = journaled(trial.out, spec)
        answers += len(mine)
        bought += sum(answer.first != answer.second for answer in mine)
        files = ("metrics.jsonl", "samples.json")
        same = all((ours / name).read_bytes() == (theirs / name).read_bytes() for name in files)
        if not same or mine != journaled(whole, spec):
            different.append(spec.folder_name)
    return {
        "runs": len(trial.specs),
        "runs_that_differ": different,
        "labels_wanted": sum(spec.labels for spec in trial.specs),
        "labels_in_journals": answers,
        "duels_asked": asked,
        "duels_in_journals": bought,
        "lost_in_flight": asked - bought,
        "most_in_flight": trial.options.tries * trial.options.workers * trial.specs[0].batch,
    }


def _workers(pid: int) -> list[int]:
    """Processes that play for a sweep."""
    found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


if __name__ == "__main__":
    main()
