"""Packaged models, and fetching those that are not packaged."""
