"""One run as a state machine, no matter who answers: propose, ask, learn, judge. It alone sees the truth.

The run loop plays it to its end with an oracle that answers at once. Whoever asks people drives the same steps::

    game.begin(state)
    while not game.over:
        game.evaluate()                               # judges, records and saves where that is due
        if game.asking:
            lesson = game.ask(game.propose())         # what has its answer already; the rest waits
            game.learn(lesson.and_late(come))         # and the answers that came meanwhile, in any order
    game.finish()

Answers come from the store of the environment's engine (``duelbench.envs.duel.engine.AnswerStore``), which keeps them
durable; a store that has none yet gives the verdict ``PENDING``. A checkpoint holds what waits.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.records.answers.journal import Journal
from duelbench.records.checkpoint import save_checkpoint
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import Parts
from duelbench.runs.judging.judge import Judge
from duelbench.runs.judging.measures.calibration import calibration
from duelbench.runs.judging.measures.drift import drift
from duelbench.runs.judging.schedule import passed
from duelbench.runs.policy_game.late_answers import Answered, LateAnswers
from duelbench.runs.policy_game.lesson import Lesson, Place, Proposed
from duelbench.runs.policy_game.proposals import action_of, late_answers, within_budget
from duelbench.runs.policy_game.shown_answers import shown_answers
from duelbench.runs.policy_game.tally import CUMULATIVE, Tally
from duelbench.runs.recording.run_folder import CHECKPOINT, POLICY, RunFolder
from duelbench.types import Pair, Responses, Verdict

_FAILURES_IN_A_ROW = 8  # a judge may fail on a duel now and then; an oracle that only fails is down
_ROUNDS_PER_BUDGET = 4  # no label is used up where nothing is asked, or only of identical responses

_LEARNED = ("failing", "invalid", "tied")
"""What a lesson adds to the tally: given again, it must not count twice."""


class OracleFailedError(RuntimeError):
    """The oracle only fails, so going on would only waste calls. The failed duels are asked again next time."""


class Game:
    """One run, from where it stands to its end.

    Args:
        spec: what is played, resolved.
        folder: where its records go.
        parts: environment, agent and policy.
        journal: keeps what oracles answered.
        judge: judges what the agent would deploy.

    Attributes:
        at: where the run stands.
        late: the duels whose answers are on their way.
        revisable: whether the last lesson is kept, so that it can be given again with other answers.
        lesson: the last one in which anything was asked, if it is kept.
        since: the lessons after it, in which nothing was asked.
        proposed: the round that waits for its answers.
    """

    def __init__(self, spec: RunSpec, folder: RunFolder, parts: Parts, journal: Journal, judge: Judge) -> None:
        self.spec, self.folder, self.parts, self.journal, self.judge = spec, folder, parts, journal, judge
        self.at, self.late = Tally(), LateAnswers()
        self._unlabelled: int = getattr(parts.agent, "unlabelled_rounds", 0)
        self._last_round = self._unlabelled or _ROUNDS_PER_BUDGET * (1 + spec.labels // spec.batch)
        self.lesson: Lesson | None = None
        self.since: list[Lesson] = []
        self.revisable = False
        self.proposed: Proposed | None = None
        self._observation: Any = None
        self._deployed: Responses | None = None
        self._started = self._tokens = 0.0

    @property
    def over(self) -> bool:
        """Whether the last evaluation is done."""
        return self.at.over

    @property
    def asking(self) -> bool:
        """Whether there are labels left to ask for."""
        return self.at.labels < self.spec.labels and self.at.round < self._last_round

    def begin(self, state: dict[str, Any] | None) -> None:
        """Stand at the first round that is to be played: of all, or after a checkpoint."""
        env, agent = self.parts.env, self.parts.agent
        if state is not None:
            agent.load_state_dict(state["agent"])  # type: ignore[attr-defined]
            vars(self.at).update(state["at"])
            self.judge.load_state_dict(state["judge"])
            self.late.load_state_dict(state["late"])
            self.proposed = None if state.get("proposed") is None else Proposed.from_state(state["proposed"])
            self.lesson = None if state.get("lesson") is None else Lesson.from_state(state["lesson"])
            self.since = [Lesson.from_state(lesson) for lesson in state.get("since", [])]
        self.folder.rewind(self.at.rows)
        start = {"start": self.at.round, "instance": self.spec.seed}
        self._observation, _ = env.reset(seed=self.parts.seeds, options=start)
        if state is not None and env.engine.delay is not None:
            env.engine.delay.load_state_dict(state["delay"])
        self._started = time.perf_counter() - self.at.seconds
        self._tokens = self.parts.policy.generated_tokens - self.at.tokens

    def evaluate(self) -> None:
        """Judge what would be deployed, record it and save the run, if that is due; at its end the run is over."""
        at, policy = self.at, self.parts.policy
        at.over = not self.asking and not self.late
        due = at.over or (self.asking and not self._unlabelled and passed(self.judge.points, at.labels) > at.judged)
        if due or not at.before:
            judging = policy.generated_tokens
            self._deployed = self._judge(recorded=due)
            self._tokens += policy.generated_tokens - judging  # evaluation is not part of the method's compute
        if due:
            at.seconds = time.perf_counter() - self._started
            at.tokens = int(policy.generated_tokens - self._tokens)
            # what it learned without labels it has at any number of them: a horizontal line
            self._write([0, self.spec.labels] if self._unlabelled else [at.labels])

    def propose(self) -> Proposed:
        """The next round, within the budget; the same again until it is asked."""
        if self.proposed is not None:
            return self.proposed
        engine, at = self.parts.env.engine, self.at
        pair = self.parts.agent.propose(self._observation)
        at.count_proposed(pair)
        pair = within_budget(pair, self.spec.labels - at.labels, free=engine.identical == "skip")
        self.proposed = Proposed(at.round, engine.prompt_ids, self._observation, pair)
        return self.proposed

    def ask(self, proposed: Proposed) -> Lesson:
        """Use up the round's labels and move on to the next prompts; returns the answers that there are."""
        env, at, pair = self.parts.env, self.at, proposed.pair
        env.abstain(~pair.ask)
        self._mark_unfinished(proposed)
        self._observation, _, _, _, info = env.step(action_of(pair))
        self.proposed = None
        asked = info["verdict"] != "skipped"
        self._count(proposed.ids[asked], pair.rows(asked))
        at.labels += int(asked.sum())
        at.round += 1
        return Lesson(proposed, info["verdict"], late_answers(info))

    def wait(self) -> Lesson:
        """A round without questions, in which answers may come: none that was bought is lost at the end."""
        env = self.parts.env
        env.abstain(np.ones(env.num_envs, bool))
        info = env.step(action_of(self.late.latest))[4]
        self.at.round += 1
        return Lesson(None, info["verdict"], late_answers(info))

    def learn(self, lesson: Lesson) -> None:
        """Let the agent learn from what was answered.

        Raises:
            OracleFailedError: the oracle is down.
        """
        if self.revisable and self.lesson is not None and not lesson.asks:
            self.since.append(lesson)
        elif self.revisable:
            counts = {name: getattr(self.at, name) for name in _LEARNED}
            before = {"agent": self.parts.agent.state_dict(), "late": self.late.state_dict(), "counts": counts}  # type: ignore[attr-defined]
            self.lesson, self.since = replace(lesson, before=copy.deepcopy(before)), []
        self._learn(lesson.settle(self.late))

    def revise(self, verdicts: Mapping[Place, Verdict]) -> None:
        """Give the last lesson again, with other answers to some of its duels; ``PENDING`` takes an answer out.

        Lessons since, in which nothing was asked, follow it again.

        The agent forgets what it had learned from it, its random state included. What was recorded since stays.
        """
        assert self.lesson is not None and self.lesson.before is not None
        self.parts.agent.load_state_dict(self.lesson.before["agent"])  # type: ignore[attr-defined]
        self.late.load_state_dict(self.lesson.before["late"])
        vars(self.at).update(self.lesson.before["counts"])
        for lesson in [self.lesson.revised(verdicts), *self.since]:
            self.learn(lesson)

    def _learn(self, answered: Answered | None) -> None:
        if answered is None:
            return
        at = self.at
        if answers := answered.answers:
            at.failing = at.failing + answered.failed if answered.failed == answers else 0
        if at.failing >= min(_FAILURES_IN_A_ROW, self.spec.labels):
            self.journal.forget_trailing_failures()
            self.judge.forget_failures()
            raise OracleFailedError(
                f"the oracle failed on the last {at.failing} duels, up to round {at.round}; no label was made up. "
                "The same command asks them again."
            )
        at.invalid += answered.failed
        at.tied += int(((answered.feedback == 0.5) & ~answered.pair.identical).sum())
        at.metrics = self.parts.agent.update(answered.observation, answered.pair, answered.feedback)

    def finish(self) -> None:
        """Record what was trained and how it answers, and mark the run as finished."""
        parts, problem, shown, deployed = self.parts, self.parts.env.problem, self.judge.shown, self._deployed
        if deployed is None:  # killed after its last row
            ids = self.judge.ids if len(self.judge.ids) else shown
            deployed = parts.agent.respond(problem.observe(ids))
        if parts.learner.steps and parts.policy.generated_tokens:  # a language model: other weights are of no use alone
            save_checkpoint(self.folder.path / POLICY, parts.policy.state_dict())
        samples = shown_answers(problem, shown, self.at, deployed, self.judge.worth(deployed.actions))
        predicted = calibration(self.spec, parts) if self.judge.knows_the_truth(deployed.actions) else None
        short = not self._unlabelled and self.at.labels < self.spec.labels
        self.folder.finish(samples, predicted, "rounds" if short else "labels")

    def _mark_unfinished(self, proposed: Proposed) -> None:
        """Put down which of the texts that will be asked about were cut off, before they are."""
        prompts = self.parts.env.problem.prompt_texts(proposed.ids)
        for side in (proposed.pair.first, proposed.pair.second):
            cut = np.flatnonzero(side.unfinished & proposed.pair.ask)
            self.journal.keep_unfinished((prompts[row], str(side.actions[row])) for row in cut)

    def _count(self, ids: NDArray[np.int64], asked: Pair) -> None:
        if not len(ids):
            return
        different = np.full(len(ids), self.parts.env.engine.identical == "ask") | ~asked.identical
        sides = (asked.first.actions, asked.second.actions)
        self.judge.count_duels(ids[different], *(side[different] for side in sides))
        with self.judge.judging():
            self.at.count_asked(self.parts.env.problem, ids, asked, exact=self.judge.exact)

    def _judge(self, *, recorded: bool) -> Responses:
        """Judge what the agent would deploy now, and make the row of this evaluation."""
        at, problem = self.at, self.parts.env.problem
        ids = self.judge.ids if recorded and len(self.judge.ids) else self.judge.shown
        responses = self.parts.agent.respond(problem.observe(ids))
        if not at.before:
            shown = len(self.judge.shown)
            at.before = problem.texts(ids[:shown], responses.actions[:shown])
            at.before_unfinished = responses.unfinished[:shown].tolist()
            at.before_utility = self.judge.worth(responses.actions[:shown])
        if not recorded:
            return responses
        row = self.judge.judge(responses.actions, self.spec.labels if at.over else at.labels) | drift(
            self.parts.policy, responses
        )
        at.calls = self.judge.calls
        known = at.cumulative or ({} if "simple_regret" not in row else dict.fromkeys(CUMULATIVE, 0.0))
        row = (
            at.counts()
            | self._flips()
            | known
            | row
            | at.online()
            | {name: float(value) for name, value in at.metrics.items()}
        )
        at.metrics = {name: value for name, value in row.items() if np.isfinite(value)}
        at.judged = passed(self.judge.points, at.labels)
        return responses

    def _flips(self) -> dict[str, float]:
        """Verdicts so far that turned round with the order of the responses, if the oracle is asked in both orders."""
        if getattr(getattr(self.parts.env.problem, "oracle", None), "flips", None) is None:
            return {}
        return {"flipped_answers": float(self.journal.flips(before=self.at.round * self.parts.env.num_envs))}

    def _write(self, places: list[int]) -> None:
        """Append the evaluation's row at each of these numbers of labels, then the checkpoint that knows of it."""
        at = self.at
        compute = {"wall_seconds": at.seconds, "generated_tokens": float(at.tokens)}
        for labels in places:
            self.folder.append({"labels": labels} | at.metrics, {"labels": labels} | compute)
        at.rows += len(places)
        at.metrics = {}
        self.save()

    def save(self) -> None:
        """Write the checkpoint; nothing for an agent without a state, whose run is replayed from its journal."""
        if not hasattr(self.parts.agent, "state_dict"):
            return
        delay = self.parts.env.engine.delay
        state = {"at": vars(self.at), "agent": self.parts.agent.state_dict(), "judge": self.judge.state_dict()}
        state |= {"late": self.late.state_dict(), "delay": delay.state_dict() if delay else None}
        state["proposed"] = None if self.proposed is None else self.proposed.state_dict()
        state["lesson"] = None if self.lesson is None else self.lesson.state_dict()
        state["since"] = [lesson.state_dict() for lesson in self.since]
        save_checkpoint(self.folder.path / CHECKPOINT, state)
