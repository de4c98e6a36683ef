"""What stands in front of another oracle: time-outs and retries, another process."""
