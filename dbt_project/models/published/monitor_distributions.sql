{{ as_written(
    'monitor_distributions',
    source('model', 'monitor_distributions'),
    ['as_of', 'subject', 'bin']
) }}
