"""Dispatch: late and once. A job goes to a node only when that node has a free slot."""
