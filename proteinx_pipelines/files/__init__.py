"""Files shared by experiments, in any kind of storage: the storage interface, and the files messages may refer to."""
