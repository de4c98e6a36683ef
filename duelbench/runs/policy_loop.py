"""The run loop: observe, propose, ask, journal, learn, judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from duelbench.envs.duel.problem import Guided
from duelbench.errors import UsageError
from duelbench.records.answers.journal import Journal
from duelbench.records.answers.journaled_oracle import JournaledDuels, portion
from duelbench.records.checkpoint import load_checkpoint
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.judging.judge import Judge, judge_name, oracle_of
from duelbench.runs.policy_game.game import Game
from duelbench.runs.recording.run_folder import CHECKPOINT, RunFolder, described

Progress = Callable[[int], None]


def run(spec: RunSpec, out: Path, *, command: str = "", progress: Progress | None = None) -> Path:
    """Play one run to its end, or go on where it stopped, and return its folder.

    A run that was killed continues from its last checkpoint; answers bought since are replayed from the journal.

    Args:
        spec: what to run.
        out: output folder; the run's own is ``out/runs/<name>``.
        command: for the record.
        progress: told the labels used so far after every round.

    Raises:
        RunBusyError: if another process is playing this run.
        UsageError: people are its oracle.
        Exception: whatever stopped the run; its traceback is in the folder's ``error.txt``, and its state is saved.
    """
    if spec.env_kwargs.get("oracle") == "people":
        raise UsageError(
            "people answer late, so no run loop can wait for them: use duelbench label or duelbench.Session"
        )
    folder = RunFolder.at(out, spec)
    spec = resolve(folder.spec)

    def play() -> None:
        with game_of(spec, folder, command) as game:
            _play(game, progress or (lambda labels: None))

    return folder.play(play)


@contextmanager
def game_of(spec: RunSpec, folder: RunFolder, command: str = "") -> Iterator[Game]:
    """The game of a resolved run, at its last checkpoint or its first round; journal and environment are closed after.

    Whoever lets others than the oracle answer changes the store of its engine, ``game.parts.env.engine.store``.
    """
    import torch

    torch.set_num_threads(spec.threads)
    parts = assemble(spec)
    problem = parts.env.problem
    arms = getattr(problem, "arms", None) is not None  # whose lines need the instance that is played
    guides = problem.guides(0) if isinstance(problem, Guided) and not arms else []
    folder.write_manifest(command, described(problem, parts.agent, judge_name(spec, problem), guides))
    journal = Journal(folder.path / "journal.sqlite", spec.run_id)
    try:
        parts.env.engine.store = JournaledDuels(journal, portion(oracle_of(problem)))
        game = Game(spec, folder, parts, journal, Judge(spec, problem, journal))
        game.begin(load_checkpoint(folder.path / CHECKPOINT) if hasattr(parts.agent, "load_state_dict") else None)
        yield game
    finally:
        journal.close()
        parts.env.close()


def _play(game: Game, progress: Progress) -> None:
    while not game.over:
        game.evaluate()
        if game.asking:
            game.learn(game.ask(game.propose()))
        elif game.late:
            game.learn(game.wait())
        progress(game.at.labels)
    game.finish()
