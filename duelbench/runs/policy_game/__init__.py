"""A run of an agent that trains a policy, as a state machine, and what it remembers between rounds."""
