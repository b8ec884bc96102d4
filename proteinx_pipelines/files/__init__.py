"""Files that experiments share, wherever they are kept: the storage interface, and what messages may refer to."""
