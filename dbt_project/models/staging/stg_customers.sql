-- One row per person: of a person with several profiles, what the oldest one says, else the next; of the
-- addresses the newest, so that nobody is written to where they no longer read. All of them must allow email.
with accepted as (

    select *
    from {{ ref('base_customers') }}
    where reject_reason is null and (joined_at is null or {{ is_known('joined_at') }})

),

profiles as (

    select
        accepted.*,
        accepted.customer_id as profile_id,
        coalesce(identities.customer_id, accepted.customer_id) as person_id,
        case
            when identities.profile_id is not null then {{ address_kind(address_key('accepted.email')) }}
        end as address_kind
    from accepted
    left join {{ ref('base_customer_identities') }} as identities
        on accepted.customer_id = identities.profile_id

),

placed as (

    select
        *,
        row_number() over (
            partition by person_id
            order by case when profile_id = person_id then 0 else 1 end, joined_at nulls first, profile_id
        ) as place,
        row_number() over (
            partition by person_id
            order by
                case when address_kind = 'usable' then 0 else 1 end asc,
                joined_at desc nulls last,
                profile_id asc
        ) as address_place
    from profiles

),

final as (

    select
        person_id as customer_id,
        case when count(*) = count(joined_at) then min(joined_at) end as joined_at,
        {{ first_stated('email', 'address_place') }} as email,
        min(case when email_eligible then 1 else 0 end) = 1 as email_eligible,
        {{ first_stated('country', 'place') }} as country,
        {{ first_stated('locale', 'place') }} as locale,
        {{ first_stated('currency', 'place') }} as currency,
        {{ first_stated('timezone', 'place') }} as timezone,
        {{ first_stated('segment', 'place') }} as segment,
        {{ list_values('profile_id', 'place') }} as customer_ids
    from placed
    group by person_id

)

select * from final
