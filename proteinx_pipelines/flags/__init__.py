"""The flag tree of an experiment: one file a group, `tree` puts them together, `parsing` reads them."""
