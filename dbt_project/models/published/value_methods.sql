{{ as_written('value_methods', source('model', 'value_methods'), ['as_of', 'days', 'method']) }}
