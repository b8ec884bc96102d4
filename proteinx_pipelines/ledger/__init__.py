"""The ledger, `state.db`: the life of every experiment, durable before anything is acknowledged."""
