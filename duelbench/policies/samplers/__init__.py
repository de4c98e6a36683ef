"""Who draws the responses of a language model: our own decoder, vLLM, a Ray actor."""
