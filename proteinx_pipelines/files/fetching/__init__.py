"""Files that a reference names and that are fetched: one fetcher for each scheme, in `registry`.

Which references may be fetched at all is decided without a network, when a message comes in: the store's own
addresses, digests in the store, and the configured Master's data sets. Nothing else is fetched.
"""
