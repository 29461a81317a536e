{{ as_written('data_audit', source('model', 'data_audit'), ['as_of', 'place']) }}
