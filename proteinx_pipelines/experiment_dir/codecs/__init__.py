"""Codecs: write each stage's record into the experiment directory and read it back, one module per stage."""
