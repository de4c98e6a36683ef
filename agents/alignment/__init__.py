"""Agents that align a policy, one file each."""
