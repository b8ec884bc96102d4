"""The experiment directory: the path of every file, and how each is written and read."""
