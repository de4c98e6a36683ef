"""How the defaults were chosen, on seeds that report nothing."""
