{{ as_written(
    'experiment_results',
    source('model', 'experiment_results'),
    ['as_of', 'experiment', 'week', 'metric', 'arm', 'control']
) }}
