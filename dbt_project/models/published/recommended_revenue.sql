-- Of every week that is kept: the week's run works all of it out again.
with written as (

    select * from {{ source('model', 'recommended_revenue') }}

)

select
    {{ declared_columns('recommended_revenue') }}
from written
order by week, purchases
