"""Which duels to pay for: every rule that chooses pairs or prompts, at equal label budgets."""
