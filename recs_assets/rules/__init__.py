"""Business rules: pure functions from frames to frames, one rule each."""
