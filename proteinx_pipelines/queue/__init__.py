"""Redis: the queue of messages, and the node's other reports to the Master (`contract` has the documents)."""
