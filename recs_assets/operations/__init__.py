"""What an operator does between two runs: rollback, retention, forgetting a customer."""
