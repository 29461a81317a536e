{{ email_rows("arm <> 'holdout'") }}
