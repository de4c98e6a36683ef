"""Experiments: what was run, how it was judged, what it showed."""
