"""The design stage: a library of variants that were not measured, what the model says of them, and which to make next."""
