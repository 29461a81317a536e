"""Campaigns: what to predict, for whom and over which horizon, as predictive queries."""
