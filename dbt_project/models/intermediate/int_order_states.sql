with final as (

    select
        status,
        counts_as,
        count(*) as order_count
    from {{ ref('int_orders_judged') }}
    group by status, counts_as

)

select * from final
order by status
