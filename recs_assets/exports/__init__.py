"""Per-user caches: one file per kind of cache, and `versions.publish`, which swaps them in whole."""
