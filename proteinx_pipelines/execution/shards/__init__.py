"""Shards: parts of a stage that processes of this machine, or workers of a Dask cluster, compute at once.

What is computed does not depend on who computes it, so that an experiment with `run.shards` has the bytes of one
without. A finished shard is kept at once (vectors in the sequence store, folds in `staging/`): a lost worker costs its
shard, a lost scheduler the unfinished shards.
"""
