"""Agents that learn from counts of wins alone: the classic dueling bandits."""
