"""The command `proteinx`: one module a command, imported when the command is used."""
