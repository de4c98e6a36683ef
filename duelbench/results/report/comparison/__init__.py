"""What is compared: runs by task and agent, who is ahead of whom, and scores over several tasks."""
