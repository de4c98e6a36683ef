"""Environments: importing ``duelbench`` registers them with Gymnasium; ``register`` adds one of your own."""

from duelbench.envs import wrappers
from duelbench.envs.registration import register, resolve_env

__all__ = ["register", "resolve_env", "wrappers"]
