"""The simulated reader: tastes over attributes of a text."""
