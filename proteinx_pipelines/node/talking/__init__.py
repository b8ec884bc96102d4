"""What the node says to others: heartbeat, status, results, and its connections to Redis."""
