{{ as_written('gates', source('model', 'gates'), ['as_of', 'gate', 'subject']) }}
