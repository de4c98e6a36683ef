"""The text environments behind OpenEnv's interface: one server, a session for each client."""
