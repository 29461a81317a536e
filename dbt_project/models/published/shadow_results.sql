{{ as_written(
    'shadow_results',
    source('model', 'shadow_results'),
    ['as_of', 'campaign', 'shadow', 'list_week', 'shown_to', 'metric']
) }}
