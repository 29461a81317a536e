{{ as_written(
    'experiment_weeks',
    source('model', 'experiment_weeks'),
    ['as_of', 'experiment', 'metric', 'arm', 'control', 'of_week']
) }}
