{{ as_written(
    'model_metrics',
    source('model', 'metrics'),
    ['as_of', 'anchor', 'view', 'segment', 'recommender', 'metric', 'k']
) }}
