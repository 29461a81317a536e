{{ config(meta={'dagster': {'ref': {'name': 'int_order_states'}}}) }}
-- Without a single purchase there is nothing to learn from; most likely the shop has words of its own.
with totals as (

    select
        count(case when counts_as = 'purchase' then 1 end) as purchase_states,
        {{ joined_text(
            "status || ' (' || order_count || ')'", ', ', 'order_count desc, status asc'
        ) }} as states
    from {{ ref('int_order_states') }}

),

message as (

    select
        'No order before '
        || {{ as_of_date() }}
        || ' counts as a purchase. The states of the orders are: '
        || states
        || '. Say in source.toml which of them are purchases: order_statuses = { "a state" = "purchase" }.'
            as sentence
    from totals
    where purchase_states = 0 and states is not null

)

select sentence
from message
where {{ fail_with('sentence') }} is not null
