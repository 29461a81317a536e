{{ as_written(
    'shadow_recommendations',
    source('model', 'shadow_recommendations'),
    ['campaign', 'shadow', 'as_of', 'customer_id', 'slot']
) }}
