"""The flag tree of an experiment: one file per group, `tree` assembles them, `parsing` reads them."""
