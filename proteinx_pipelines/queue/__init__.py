"""Redis: the queue that messages travel on, and what a node tells the Master besides (`contract` has the documents)."""
