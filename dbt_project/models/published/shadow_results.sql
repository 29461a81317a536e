{{ as_written(
    'shadow_results',
    source('model', 'shadow_results'),
    ['as_of', 'campaign', 'shadow', 'list_as_of', 'shown_to', 'metric']
) }}
