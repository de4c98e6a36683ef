"""Estimates with honest intervals: of numbers, of learning curves, over several tasks."""
