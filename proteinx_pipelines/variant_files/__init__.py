"""Files of variants as people have them: one door, whatever the program that wrote them.

    container (gzip, zip, encoding) -> forms (delimited, spreadsheet, columnar, json_records, fasta): a `TextTable`
    columns: which of its columns is what -> notation, sequences, combos: mutants; scores, replicates: numbers

Knows files and how people write mutants, not the catalog: what becomes of the rows is the reader's. Everything that was
understood is in one record, `Understood`, so that it can be said before it is believed.
"""
