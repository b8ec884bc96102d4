"""Contents by name: an interface, the local folder that a node has, and object stores that machines share."""
