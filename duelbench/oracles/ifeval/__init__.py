"""Checkable instructions as an oracle."""
