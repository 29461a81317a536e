{{ as_written('monitor', source('model', 'monitor'), ['as_of', 'area', 'metric', 'subject']) }}
