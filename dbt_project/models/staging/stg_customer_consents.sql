-- What may be done with whom. Privacy errs on the side of silence: a withdrawal whose row cannot be
-- read in full (unknown spelling, 1970 date) still stops the email, and one account's withdrawal
-- holds for every account with its address, and for every profile of its person. What one of two profiles
-- refused while they were one person, or in the four weeks after, in which the last emails are answered,
-- holds for the other, too: nobody can be written to because they were parted. It is taken back by a
-- subscribe since the parting. Of several states the strictest is in force.
with changes as (

    select * from {{ ref('stg_consent_changes') }} where customer_id is not null

),

switches as (

    -- An unsubscribe and a subscribe of the same moment: the unsubscribe holds.
    select
        customer_id,
        state,
        row_number() over (
            partition by customer_id
            order by effective_at desc, case when state = 'unsubscribed' then 0 else 1 end
        ) as newest_first
    from changes
    where is_readable and state in ('subscribed', 'unsubscribed')

),

marks as (

    -- A complaint is about the emails themselves: a later subscribe does not take it back.
    select
        customer_id,
        max(case
            when state = 'erased' then 3
            when state = 'objected' then 2
            when state = 'complained' or (not is_readable and state is distinct from 'subscribed') then 1
            else 0
        end) as strictness
    from changes
    group by customer_id

),

own as (

    select
        marks.customer_id,
        greatest(marks.strictness, case when switches.state = 'unsubscribed' then 1 else 0 end) as strictness
    from marks
    left join switches on marks.customer_id = switches.customer_id and switches.newest_first = 1

),

accounts as (

    select distinct
        customer_id,
        {{ address_key('email') }} as address
    from {{ ref('base_customers') }}
    where
        (reject_reason is null or reject_reason = 'duplicate_row')
        and (joined_at is null or joined_at < {{ consents_until() }})

),

addresses as (

    select
        accounts.address,
        max(own.strictness) as strictness
    from own
    inner join accounts on own.customer_id = accounts.customer_id
    where {{ address_kind('accounts.address') }} = 'usable' and own.strictness > 0
    group by accounts.address

),

subscriptions as (

    select
        customer_id,
        max(effective_at) as subscribed_at
    from changes
    where is_readable and state = 'subscribed'
    group by customer_id

),

parted as (

    select * from {{ ref('base_customer_partings') }}

),

-- An erasure of the other is no erasure of theirs: it is an objection.
inherited as (

    select
        parted.customer_id,
        case when changes.state in ('erased', 'objected') then 2 else 1 end as strictness
    from parted
    inner join changes on parted.other_id = changes.customer_id
    left join subscriptions as theirs on parted.customer_id = theirs.customer_id
    left join subscriptions as others on parted.other_id = others.customer_id
    where
        (
            changes.state in ('unsubscribed', 'complained', 'objected', 'erased')
            or not changes.is_readable and changes.state is distinct from 'subscribed'
        )
        and coalesce(changes.effective_at < {{ dbt.dateadd('day', 28, 'parted.parted_at') }}, true)
        and not coalesce(
            theirs.subscribed_at >= parted.parted_at and theirs.subscribed_at > changes.effective_at, false
        )
        and not coalesce(
            changes.is_readable
            and changes.state = 'unsubscribed'
            and others.subscribed_at > changes.effective_at,
            false
        )

),

profiles as (

    select * from own
    union all
    select * from inherited
    union all
    select
        accounts.customer_id,
        addresses.strictness
    from accounts
    inner join addresses on accounts.address = addresses.address

),

-- What the strictest profile of a person wants holds for all of them.
people as (

    select
        identities.customer_id,
        max(profiles.strictness) as strictness
    from profiles
    inner join {{ ref('base_customer_identities') }} as identities
        on profiles.customer_id = identities.profile_id
    group by identities.customer_id

),

everybody as (

    select * from profiles
    union all
    select
        identities.profile_id as customer_id,
        people.strictness
    from people
    inner join {{ ref('base_customer_identities') }} as identities
        on people.customer_id = identities.customer_id

),

final as (

    select
        customer_id,
        case max(strictness)
            when 3 then 'erased'
            when 2 then 'objected'
            when 1 then 'unsubscribed'
            else 'subscribed'
        end as consent_state
    from everybody
    group by customer_id

)

select * from final
