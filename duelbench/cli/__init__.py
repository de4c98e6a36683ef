"""The commands of ``duelbench``, one module each."""
