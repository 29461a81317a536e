"""Which profiles are one person: exact matches, scores of Splink, and what the shop decides ([docs/identity.md])."""
