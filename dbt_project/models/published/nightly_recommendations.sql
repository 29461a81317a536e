with shown as (

    select * from {{ source('model', 'nightly_recommendations') }}

)

select
    {{ declared_columns('nightly_recommendations') }}
from shown
order by as_of, list, customer_id, rank
