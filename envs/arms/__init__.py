"""Numeric families: arms with known preference probabilities instead of texts."""
