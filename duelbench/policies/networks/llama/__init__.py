"""Models of Llama type on a CPU, several times as fast as the general path."""
