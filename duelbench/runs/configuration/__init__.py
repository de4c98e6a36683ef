"""From what was asked for to what is played: defaults and contents filled in, checked, and built."""
