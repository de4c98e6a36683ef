"""Rank items of one's own by duels: which pair to ask about next, and when to stop."""
