"""Models: every job that has ended with success has trained one. A model's id is its job's.

listing.py      models as documents: score, data, flags, size, aliases
aliases.py      names such as `champion`
packing.py      a model's files as one archive
predicting.py   predictions at once, or as a job
"""
