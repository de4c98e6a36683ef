"""The `preference` encoder: the embedded LM, taught by simulated readers with random tastes."""
