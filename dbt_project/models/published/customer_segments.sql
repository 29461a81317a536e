with final as (

    select * from {{ source('model', 'customer_segments') }}

)

select * from final
order by customer_id
