"""What is measured of the deployed policy: when, on what, by whom, and what that will cost."""
