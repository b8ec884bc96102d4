"""The six stages as pure functions: records and flags in, one record out."""
