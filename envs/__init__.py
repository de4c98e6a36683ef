"""Environments: importing ``duelbench`` registers them with Gymnasium."""
