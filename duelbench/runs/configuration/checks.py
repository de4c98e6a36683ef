"""What can be known before the first label is bought: that every prompt can be read and judged."""

from __future__ import annotations

from duelbench.envs.duel.problem import Problem
from duelbench.envs.text.llm_duel import OracleProblem
from duelbench.envs.text.tasks import Task
from duelbench.errors import UsageError
from duelbench.protocols import Policy, ReadsPrompts
from duelbench.records.spec import RunSpec
from duelbench.types import is_text


def check_before_labels(problem: Problem, policy: Policy) -> None:
    """Check everything of a run that does not depend on any answer.

    Raises:
        ValueError: nothing could be judged, or a prompt or a stored response that some round would stumble over; with
            its row and what to do.
    """
    if not len(problem.heldout_ids()):
        raise ValueError(
            "the task has no held-out prompts, so the deployed policy cannot be judged: keep some with "
            "task_options={'heldout': N}, or give them split 'heldout' in a JSONL file"
        )
    if isinstance(problem, OracleProblem):
        check_task(problem.task)
        if isinstance(policy, ReadsPrompts):
            policy.check_prompts(problem.task.prompts)


def check_judging_of_arms(spec: RunSpec) -> None:
    """Check that nobody is asked to judge an agent that plays arms: its regret follows from the true preferences.

    Raises:
        UsageError: naming what was asked for in vain.
    """
    names = ("oracle", "second", "prompts", "references")
    asked = [f"--judge-{name}" for name in names if getattr(spec.judging, name) is not None]
    if asked:
        raise UsageError(
            f"{' and '.join(asked)} would do nothing: {spec.agent_label} plays arms on {spec.env_label}, and is judged "
            "by the environment's true preferences alone. Leave it out, in a sweep's judging too, or play arms in a "
            "sweep of their own"
        )


def check_task(task: Task) -> None:
    """Check that prompts and references are text, and that no prompt is both duelled on and held out.

    Raises:
        ValueError: with the row, counted from 1.
    """
    for row, prompt in enumerate(task.prompts, 1):
        for text in (prompt, *task.references[row - 1].tolist()):
            if not is_text(text):
                raise ValueError(
                    f"task {task.name!r}, row {row}: {text!r:.80} holds half of a character (a lone surrogate), which "
                    "no tokenizer and no file takes: mend or remove it"
                )
    duelled = {prompt: row for row, prompt in enumerate(task.prompts[: task.n_duel], 1)}
    for row, prompt in enumerate(task.prompts[task.n_duel :], task.n_duel + 1):
        if prompt in duelled:
            raise ValueError(
                f"task {task.name!r}: the held-out prompt of row {row}, {prompt!r:.80}, is the duel prompt of row "
                f"{duelled[prompt]} too, so the policy would be judged on what it was trained on: remove one of them"
            )
