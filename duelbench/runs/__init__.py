"""Playing runs: from a specification to its folder."""
