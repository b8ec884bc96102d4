"""The experiment directory: where every file lies, how it is written, and how it is read back."""
