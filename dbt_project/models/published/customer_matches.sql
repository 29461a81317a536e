-- Of whoever was erased nothing is published, and no pair that they are in.
with people as (

    select unnest(customer_ids) as profile_id from {{ ref('recs_customers') }}

)

select {{ written_columns('customer_matches', 'matches') }}
from {{ source('model', 'customer_matches') }} as matches
where
    matches.profile_id in (select profile_id from people)
    and matches.other_profile_id in (select profile_id from people)
order by matches.profile_id, matches.other_profile_id
