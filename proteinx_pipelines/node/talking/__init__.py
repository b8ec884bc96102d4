"""Messages from the node to others: heartbeat, status, results, and its connections to Redis."""
