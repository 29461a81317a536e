"""Campaigns: a file says whom to reach with what, business rules choose, every row gets its reason."""
