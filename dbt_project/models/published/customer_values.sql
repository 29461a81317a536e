with final as (

    select * from {{ source('model', 'customer_values') }}

)

select * from final
order by customer_id
