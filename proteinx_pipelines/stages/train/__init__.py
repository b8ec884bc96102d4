"""Train stage: one model per fold from embeddings and targets, exported without pickle.

`train.train_models` is the stage, `export.load_model` reads a model back. Each model is one module (`ridge`, `mlp`)
and one row of `registry`.
"""
