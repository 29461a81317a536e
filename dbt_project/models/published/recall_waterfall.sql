{{ as_written(
    'recall_waterfall',
    source('model', 'waterfall'),
    ['as_of', 'anchor', 'view', 'segment', 'k', 'source', 'stage']
) }}
