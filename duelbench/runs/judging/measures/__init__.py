"""What is measured of an agent besides what its responses are worth: what it believes, and how far its policy went."""
