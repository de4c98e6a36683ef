"""Causal language models as networks: score responses in parallel, decode them token by token."""
