{{ as_written(
    'campaign_outcomes',
    source('model', 'campaign_outcomes'),
    ['campaign', 'as_of', 'step']
) }}
