"""What is known before an anchor, as arrays and frames."""
