-- Of whoever was erased nothing is published, and no pair that they are in.
with people as (

    select * from {{ ref('recs_customers') }}

),

known as (

    {{ list_elements('people', 'customer_ids', 'known_id', 'place') }}

),

final as (

    select {{ written_columns('customer_matches', 'matches') }}
    from {{ source('model', 'customer_matches') }} as matches
    inner join known as ours on matches.profile_id = ours.known_id
    inner join known as others on matches.other_profile_id = others.known_id

)

select * from final
order by profile_id, other_profile_id
