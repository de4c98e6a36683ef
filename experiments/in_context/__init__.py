"""Can a small language model play a dueling bandit in its context?"""
