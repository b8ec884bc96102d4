"""Log lines and metric values of jobs: read from the experiment's own files, or sent by a node elsewhere.

feeds.py       what has been written behind a place, whatever the source
following.py   what is written from now on, until the job ends
receiving.py   batches from nodes
"""
