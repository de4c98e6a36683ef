"""Sweeps that ``duelbench sweep NAME`` knows: each file holds one, as a file of your own would."""
