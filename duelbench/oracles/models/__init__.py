"""Language models as oracles: reward models, rankers, judges."""
