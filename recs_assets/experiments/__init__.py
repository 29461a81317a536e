"""Experiments: what a file declares, who gets which arm, and what the arms did. Pure functions on arrays and frames."""
