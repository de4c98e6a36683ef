"""What was recorded, read and shown: statistics, the report, exports. Nothing here plays anything."""
