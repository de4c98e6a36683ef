"""Tasks: prompts, stored reference responses, and where they come from."""

from duelbench.envs.text.tasks.load import load_task, task_names
from duelbench.envs.text.tasks.task import Task

__all__ = ["Task", "load_task", "task_names"]
