"""What votes say: strengths with intervals, and what is settled at any time one looks."""
