{{ as_written(
    'backtest',
    source('model', 'backtest'),
    ['as_of', 'view', 'recommender', 'metric', 'k']
) }}
