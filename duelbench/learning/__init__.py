"""Losses on pairs and on responses, and the learner that descends them."""
