"""Bootstrap over variants: intervals of metrics, and paired differences of predictors on the same resamples."""
