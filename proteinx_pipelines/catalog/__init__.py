"""The catalog of measured variants, `database.db`: what is in it, how rows come in and how they are chosen.

    writing <- importing <- checking <- parsing     a data file becomes a source, all of it or nothing
    where -> fetching -> reading -> sampling        flags become one SELECT, and its rows a table
    listing                                         what a person wants to see of it

`tables` is the schema and `database` opens it to read. The life of experiments is not here: that is `ledger`.
"""
