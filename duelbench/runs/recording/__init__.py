"""The folder of a run: writing it, locking it, removing it, taking its model out."""
