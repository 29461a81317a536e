{{ as_written(
    'experiments',
    source('model', 'experiments'),
    ['as_of', 'experiment', 'arm']
) }}
