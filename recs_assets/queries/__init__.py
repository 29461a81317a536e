"""The predictive query language: one statement says what to predict, for whom and over which horizon."""
