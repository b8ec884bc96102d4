"""What `proteinx doctor` looks at."""
