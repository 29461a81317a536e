{{ as_written(
    'experiment_segments',
    source('model', 'experiment_segments'),
    ['as_of', 'experiment', 'metric', 'arm', 'control', 'segment', 'value']
) }}
