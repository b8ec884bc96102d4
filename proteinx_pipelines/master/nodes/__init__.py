"""Nodes as the Master knows them: rows kept up to date by heartbeats, and what is shown of them."""
