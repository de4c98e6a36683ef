"""Tasks: prompts, stored reference responses, and where they come from."""

from duelbench.envs.tasks.task import Task, load_task, task_names

__all__ = ["Task", "load_task", "task_names"]
