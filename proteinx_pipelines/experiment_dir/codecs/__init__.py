"""How each stage's record is written into the experiment directory and read back, one module a stage."""
