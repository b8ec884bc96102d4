"""What travels between the Master and this node: requests in, results out, and the queue they travel on."""
