"""What ``duelbench new`` writes: each file runs as it stands, and is linted and tested as such."""
