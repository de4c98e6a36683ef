"""See experiments/leaderboard.md."""
