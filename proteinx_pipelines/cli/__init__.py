"""The `proteinx` command: one module per command, imported when the command is used."""
