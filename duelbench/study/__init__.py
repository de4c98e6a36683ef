"""Many runs as one plan: sweeps, what an environment plays by default, the behaviour suite, costs, tuning."""
