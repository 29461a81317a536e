{{ as_written('model_decisions', source('model', 'decisions'), ['as_of', 'step']) }}
