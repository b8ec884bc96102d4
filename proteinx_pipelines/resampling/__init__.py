"""Bootstrap over variants or positions: intervals of metrics, paired differences of predictors on the same draws."""
