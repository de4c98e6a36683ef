"""People as the oracle: ask and tell, a page to label on, and how well they agree."""
