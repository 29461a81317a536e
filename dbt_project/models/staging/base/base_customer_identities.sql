-- Whose a profile is (recs_assets/identity), of profiles whose rows passed the checks: a person is called by
-- a profile that is there. Staging puts the person in the profile's place (the macro by_person).
with accepted as (

    select
        customer_id as profile_id,
        joined_at
    from {{ ref('base_customers') }}
    where reject_reason is null and (joined_at is null or {{ is_known('joined_at') }})

),

matched as (

    select
        identities.profile_id,
        identities.customer_id as matched_id,
        accepted.joined_at
    from {{ source('model', 'customer_identities') }} as identities
    inner join accepted on identities.profile_id = accepted.profile_id

),

final as (

    select
        profile_id,
        first_value(profile_id) over (partition by matched_id order by joined_at nulls first, profile_id)
            as customer_id
    from matched

)

select * from final
order by profile_id
