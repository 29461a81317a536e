with counted as (

    select * from {{ source('model', 'follow_ups') }} where as_of = {{ as_of_date() }}

),

products as (

    select * from {{ ref('recs_products') }}

),

final as (

    select
        {{ written_columns('follow_ups', 'counted') }},
        case when counted.level = 'product' then items.product_name else counted.item end as item_name,
        case when counted.level = 'product' then followers.product_name else counted.follow_up end
            as follow_up_name
    from counted
    left join products as items on counted.level = 'product' and counted.item = items.product_id
    left join products as followers
        on counted.level = 'product' and counted.follow_up = followers.product_id

)

select
    {{ declared_columns('follow_ups') }}
from final
order by as_of, horizon, level, item, rank
