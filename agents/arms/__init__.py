"""Agents that play arms, many seeds in lock-step."""
