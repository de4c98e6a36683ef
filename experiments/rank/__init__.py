"""How many votes a ranking takes, and how often it is wrong."""
