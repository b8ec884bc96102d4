"""The design stage: a library of variants, what the model says of them, and which to make next."""
