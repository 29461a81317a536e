-- Of every week that is kept: the week's run works all of it out again.
with written as (

    select * from {{ source('model', 'attributions') }}

)

select
    {{ declared_columns('attributions') }}
from written
order by order_id, line_id
