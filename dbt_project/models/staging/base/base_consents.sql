with source as (

    select
        {{ clean_text('customer_id') }} as spelling,
        {{ clean_code('state') }} as state,
        effective_at
    from {{ source('raw', 'consents') }}

),

-- An address may mean several accounts; the row is shown with the first of them.
matches as (

    select
        spelling,
        min(customer_id) as customer_id
    from {{ ref('base_consent_matches') }}
    group by spelling

),

judged as (

    select
        coalesce(matches.customer_id, source.spelling) as customer_id,
        source.state,
        source.effective_at,
        case
            {{ when_id_is_bad(['source.spelling']) }}
            -- An erased person has rightly left the customer file; the erasure stays in force.
            when source.state = 'erased' and matches.customer_id is null then null
            when
                matches.customer_id is null
                and (source.effective_at is null or source.effective_at < {{ consents_until() }})
                then case when source.state = 'subscribed' then 'orphan_customer' else 'unmatched_withdrawal' end
            when source.state is null then 'missing_value'
            when source.state not in {{ consent_states() }} then 'unknown_state'
            {{ when_date_is_bad('source.effective_at') }}
        end as failed_check
    from source
    left join matches on source.spelling = matches.spelling

),

final as (

    -- The key is the whole row, so copies are alike and any of them may stay.
    {{ with_duplicates_rejected('judged', key=['customer_id', 'state', 'effective_at'], columns=['customer_id']) }}

)

select * from final
