"""Kills sweeps at random moments and counts what was lost."""
