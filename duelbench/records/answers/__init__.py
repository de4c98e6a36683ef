"""What oracles and people answered, kept so that no answer is lost or bought twice."""
