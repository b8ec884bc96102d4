"""Readers of variant files of any form, whichever program wrote them.

    container (gzip, zip, encoding) -> forms (delimited, spreadsheet, columnar, json_records, fasta): a `TextTable`
    columns: roles of its columns -> notation, sequences, combos: mutants; scores, replicates: numbers

Independent of the catalog: callers decide what to do with the rows. Everything that was inferred from a file is in one
record, `Understood`, so that it can be shown before an import.
"""
