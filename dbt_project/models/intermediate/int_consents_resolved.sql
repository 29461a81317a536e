-- What may be done with whom at as_of. Privacy errs on the side of silence: a withdrawal whose
-- row cannot be read in full (unknown spelling, 1970 date) still stops the email.
with consents as (

    select
        customer_id,
        state,
        effective_at,
        reject_reason
    from {{ ref('base_consents') }}
    where
        customer_id is not null
        and (effective_at is null or {{ is_known('effective_at') }})

),

switches as (

    -- An unsubscribe and a subscribe of the same moment: the unsubscribe holds.
    select
        customer_id,
        state,
        effective_at,
        row_number() over (
            partition by customer_id
            order by effective_at desc, case when state = 'unsubscribed' then 0 else 1 end
        ) as newest_first
    from consents
    where reject_reason is null and state in ('subscribed', 'unsubscribed')

),

marks as (

    select
        customer_id,
        max(case when state = 'erased' then 1 else 0 end) as is_erased,
        max(case when state = 'objected' then 1 else 0 end) as is_objected,
        max(case
            when reject_reason is null or reject_reason = 'duplicate_row' or state = 'subscribed' then 0
            else 1
        end) as is_unreadable
    from consents
    group by customer_id

),

final as (

    select
        marks.customer_id,
        case
            when marks.is_erased = 1 then 'erased'
            when marks.is_objected = 1 then 'objected'
            when marks.is_unreadable = 1 then 'unsubscribed'
            else coalesce(switches.state, 'subscribed')
        end as consent_state
    from marks
    left join switches on marks.customer_id = switches.customer_id and switches.newest_first = 1

)

select * from final
order by customer_id
