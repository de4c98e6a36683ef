"""Duels of texts: free text and pools of stored responses, and the tasks behind them."""
