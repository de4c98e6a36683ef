"""The mathematics of duels: preferences, regrets, tournaments, reference lines."""
