"""Hand out duels, take votes, and see how well people answer."""
