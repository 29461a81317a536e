-- A withdrawal that matches no customer is kept apart: either the person is gone, which an erasure is
-- for, or nobody writes to the account (it joined since, its row was rejected), or the id is wrong and
-- somebody who said no would be written to.
with changes as (

    select *
    from {{ ref('base_consent_changes') }}
    where effective_at is null or effective_at < {{ consents_until() }}

),

matches as (

    select * from {{ ref('base_consent_matches') }}

),

matched as (

    select
        changes.*,
        matches.customer_id,
        coalesce(matches.matched_by, 'nothing') as matched_by
    from changes
    left join matches on changes.spelling = matches.spelling

),

gone as (

    select distinct {{ lower_case('spelling') }} as spelling
    from matched
    where customer_id is null and state = 'erased'

),

silent as (

    select {{ lower_case('customer_id') }} as spelling
    from {{ ref('base_customers') }}
    where joined_at >= {{ consents_until() }} or reject_reason <> 'duplicate_row'
    union
    select {{ address_key('email') }} as spelling
    from {{ ref('base_customers') }}
    where joined_at >= {{ consents_until() }} or reject_reason <> 'duplicate_row'
    union
    -- Nobody is written to at an address that is not usable, so whoever says no by it is nobody's stranger.
    select {{ address_key('email') }} as spelling
    from {{ ref('base_customers') }}
    where {{ address_kind(address_key('email')) }} in ('unusable', 'test') and position('@' in email) > 0

),

final as (

    select
        matched.source_table,
        matched.spelling,
        case
            when matched.state = 'erased' then coalesce(matched.customer_id, matched.spelling)
            else matched.customer_id
        end
            as customer_id,
        matched.matched_by,
        matched.state,
        matched.effective_at,
        matched.is_readable,
        case
            when matched.customer_id is not null then 'matched'
            when matched.state = 'subscribed' then 'no_withdrawal'
            when matched.state = 'erased' or gone.spelling is not null then 'gone'
            when by_id.spelling is not null or by_address.spelling is not null then 'not_written_to'
            else 'unmatched'
        end as outcome
    from matched
    left join gone on {{ lower_case('matched.spelling') }} = gone.spelling
    left join silent as by_id on {{ lower_case('matched.spelling') }} = by_id.spelling
    left join silent as by_address on {{ withdrawal_address('matched.spelling') }} = by_address.spelling

)

select * from final
