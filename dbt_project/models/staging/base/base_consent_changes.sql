-- Every row that says what a person wants: of the consents all, of the campaign events those that say
-- no, whatever else is wrong with them. `spelling` is the id as the file has it.
with consents as (

    select
        'consents' as source_table,
        {{ clean_text('customer_id') }} as spelling,
        {{ clean_code('state') }} as state,
        effective_at
    from {{ source('raw', 'consents') }}

),

-- Each type is looked at once: millions of events have a handful of them.
types as (

    select
        event_type,
        {{ event_withdrawal('event_type') }} as state
    from {{ source('raw', 'campaign_events') }}
    group by event_type

),

events as (

    select
        'campaign_events' as source_table,
        {{ clean_text('events.customer_id') }} as spelling,
        types.state,
        events.occurred_at as effective_at
    from {{ source('raw', 'campaign_events') }} as events
    inner join types on events.event_type = types.event_type
    where types.state is not null

),

changes as (

    select * from consents
    union all
    select * from events

),

final as (

    select
        source_table,
        spelling,
        state,
        effective_at,
        coalesce(
            (state in {{ consent_states() }} or source_table = 'campaign_events')
            and effective_at >= cast('1990-01-01' as timestamp)
            and effective_at <= {{ newest_consent() }},
            false
        ) as is_readable
    from changes

)

select * from final
