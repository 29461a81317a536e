-- Profiles that were one person in an earlier week and are no longer; each pair from either side.
with parted as (

    select * from {{ source('model', 'customer_matches') }} where parted_at is not null

),

final as (

    select
        profile_id as customer_id,
        other_profile_id as other_id,
        parted_at
    from parted
    union all
    select
        other_profile_id as customer_id,
        profile_id as other_id,
        parted_at
    from parted

)

select * from final
