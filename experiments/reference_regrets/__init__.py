"""Are the classic agents right? Their regret against that of other implementations."""
