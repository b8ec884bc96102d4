"""The Master: one address for people, programs and nodes.

    database/   tables, and the only way to change them (`writer`)
    jobs/       creation, listing and verbs of jobs: functions of a connection, without HTTP
    dispatch/   the loops that hand jobs to nodes, take results, notice lost nodes, and serve the direct path
    http/       the application: access, errors, one module of routes for each noun
    master.py   what all of these share

The Master never computes: it imports no stage, no Dagster, no Celery, no PyTorch. Redis lists are its wire to the
nodes; its database decides.
"""
