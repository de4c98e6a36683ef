"""Exploration agents, one readable file each. ``duelbench list`` names them."""
