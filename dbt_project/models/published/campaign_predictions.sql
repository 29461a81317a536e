{{ as_written(
    'campaign_predictions',
    source('model', 'campaign_predictions'),
    ['campaign', 'as_of', 'customer_id', 'rank']
) }}
