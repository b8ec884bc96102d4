"""The node: intake, outbox, heartbeats, reconciling, and the processes that make one up."""
