"""Wall time and memory of the weekly run; not part of the package (`make bench`)."""
