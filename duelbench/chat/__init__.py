"""Language models that are asked in words."""
