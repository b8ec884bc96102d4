"""The embedding stage: one vector, or one row of residue tokens, for each variant of the table.

`embed.embed_variants` is the stage; the other modules each know one thing it needs. Nothing here knows
targets or splits. What it returns is written by `experiment_dir.codecs.embedding`.
"""
