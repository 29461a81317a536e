{{ as_written('rule_price_tags', source('model', 'rule_price_tags'), ['campaign', 'as_of', 'step']) }}
