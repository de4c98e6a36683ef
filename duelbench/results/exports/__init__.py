"""What runs leave for other programs: tables, trackers, preference data sets."""
