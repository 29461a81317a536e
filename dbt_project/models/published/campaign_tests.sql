{{ as_written(
    'campaign_tests',
    source('model', 'campaign_tests'),
    ['campaign', 'as_of', 'metric', 'model', 'item']
) }}
