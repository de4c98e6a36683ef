"""Studies that compare agents in worlds: a definition each, and one way to play, tabulate and draw them."""
