{{ attributed(ref('stg_browsing_events'), [
    'event_id', 'product_id', 'event_type', 'occurred_at', 'duration_seconds', 'referrer'
]) }}
