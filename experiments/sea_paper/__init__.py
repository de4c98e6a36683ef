"""The experiments of the SEA paper (arXiv 2411.01493), in small: three model sizes on two cores."""
