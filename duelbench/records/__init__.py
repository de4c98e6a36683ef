"""What a run is and what it left: specification, plan, record, journal, checkpoint, provenance."""
