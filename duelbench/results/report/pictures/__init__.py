"""How curves and comparisons are drawn."""
