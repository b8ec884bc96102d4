"""The embedding stage: one vector, or one row of residue tokens, for each variant of the table.

`embed.embed_variants` is the stage; the other modules are its parts. No module here reads targets or splits. The
result is written by `experiment_dir.codecs.embedding`.
"""
