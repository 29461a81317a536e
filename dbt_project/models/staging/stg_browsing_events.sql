-- What a visitor did stands here as theirs: they may be known by name later (int_visitors_identified). What
-- nobody did is nobody's history, and stands in no table after this.
with accepted as (

    {{ by_person(ref('base_browsing_events')) }}
    where
        profiles.reject_reason is null
        and coalesce(profiles.customer_id, profiles.visitor_id) is not null
        and {{ is_known('profiles.occurred_at') }}

),

final as (

    select
        event_id,
        customer_id,
        product_id,
        event_type,
        occurred_at,
        duration_seconds,
        {{ without_emails('referrer') }} as referrer,
        device,
        session_id,
        visitor_id
    from accepted

)

select * from final
