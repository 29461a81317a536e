{{ as_written('table_gains', source('model', 'table_gains'), ['as_of', 'table_name']) }}
