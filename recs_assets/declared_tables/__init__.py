"""Tables that a shop declares beside the canonical ones; see `docs/your_tables.md`."""
