with people as (

    select * from {{ ref('recs_customers') }}

),

profiles as (

    {{ list_elements('people', 'customer_ids', 'profile_id', 'place') }}

),

several as (

    select distinct customer_id from profiles where place > 1

),

final as (

    select
        profiles.profile_id,
        profiles.customer_id
    from profiles
    inner join several on profiles.customer_id = several.customer_id

)

select {{ written_columns('customer_identities', 'final') }}
from final
order by profile_id
