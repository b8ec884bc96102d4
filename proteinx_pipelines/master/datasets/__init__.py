"""Uploaded data sets: checked through the door that `proteinx db import` uses, kept in versions, fetched by digest.

reading.py      options about a file, as a caller gives them
checking.py     what is understood of a file, and the catalog made of it; runs in `apart`
apart.py        a process of its own for checks: a file that takes too much memory or time ends it, not the Master
accepting.py    a file that has arrived becomes a version of a data set
listing.py      data sets as documents, and their removal
references.py   what a message says so that a node finds the catalog of a data set
"""
