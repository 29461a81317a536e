with people as (

    select * from {{ ref('recs_customers') }}

),

profiles as (

    select
        unnest(customer_ids) as profile_id,
        customer_id
    from people
    where len(customer_ids) > 1

)

select {{ written_columns('customer_identities', 'profiles') }}
from profiles
order by profile_id
