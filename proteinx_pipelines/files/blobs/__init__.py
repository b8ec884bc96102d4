"""Blob storage: an interface, the local folder of a node, and object stores shared by machines."""
