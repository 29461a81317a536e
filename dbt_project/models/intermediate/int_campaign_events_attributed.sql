{{ attributed(ref('stg_campaign_events'), [
    'event_id', 'campaign', 'product_id', 'event_type', 'occurred_at', 'arm', 'recommendation_id', 'session_id', 'placement',
    'position', 'experiment'
]) }}
