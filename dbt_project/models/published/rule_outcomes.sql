{{ as_written('rule_outcomes', source('model', 'rule_outcomes'), ['as_of', 'campaign', 'step']) }}
