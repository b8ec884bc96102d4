"""Communication of the node: heartbeat, status, results, and its connections to Redis."""
