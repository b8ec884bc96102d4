"""The processes of a node: started, watched, replaced, stopped, and the WORKDIR they share."""
