"""One week of one shop: what is known at its anchors, its lists, models and tables."""
