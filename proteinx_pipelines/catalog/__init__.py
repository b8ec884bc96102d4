"""Catalog of measured variants, `database.db`: import, listing and selection of rows.

    writing <- importing <- checking <- parsing     a data file becomes a source, all of it or nothing
    where -> fetching -> reading -> sampling        flags become one SELECT, and its rows a table
    listing                                         summaries for users

`tables` is the schema; `database` opens the file to read. The state of experiments is in `ledger`.
"""
