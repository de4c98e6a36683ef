"""Beliefs about the oracle's utility."""
