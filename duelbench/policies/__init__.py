"""Policies: distributions over responses that can be sampled, scored and trained."""
