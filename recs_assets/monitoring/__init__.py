"""Whether to worry: figures of a week beside those of the weeks before, with a verdict each and one over all."""
