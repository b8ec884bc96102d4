"""Numbers that a node and a Master show to Prometheus: their table, their text form, tallies of events."""
