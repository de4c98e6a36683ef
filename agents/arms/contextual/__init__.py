"""Agents that learn a utility of the arms' features: the contextual dueling bandits."""
