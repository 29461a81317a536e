"""The quality suites of Great Expectations: what tables must hold, and the pages that say whether they do."""
