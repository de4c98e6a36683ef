"""One duel after the other: the engine and the Gymnasium classes over a problem."""
