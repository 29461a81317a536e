{{ as_written(
    'campaign_customers',
    source('model', 'campaign_customers'),
    ['campaign', 'as_of', 'customer_id']
) }}
