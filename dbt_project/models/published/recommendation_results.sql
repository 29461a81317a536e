-- Of every week that is kept: the week's run works all of it out again.
with written as (

    select * from {{ source('model', 'recommendation_results') }}

)

select
    {{ declared_columns('recommendation_results') }}
from written
order by as_of, channel, campaign, dimension, value
