-- What is known at each anchor: the one place where a backtest looks back in time. Customers
-- who joined later are unknown, a purchase counts until it was wholly returned, and its
-- quantity is net of the units returned by then. What a visitor did before signing in counts once they did. What guests bought has no customer.
with anchors as (
    {{ anchors() }}

),

customers as (

    select customer_id, joined_at from {{ ref('customers') }}

),

interactions as (

    select * from {{ ref('interactions') }}

),

returned as (

    select
        anchors.as_of,
        returns.order_id,
        returns.product_id,
        {{ exact_sum('returns.quantity', 6) }} as quantity
    from {{ ref('int_returns_allocated_to_lines') }} as returns
    inner join anchors on returns.returned_at < anchors.as_of
    group by anchors.as_of, returns.order_id, returns.product_id

),

known as (

    select
        anchors.as_of,
        interactions.*
    from interactions
    inner join anchors
        on
            interactions.known_from < anchors.as_of
            and (interactions.voided_at is null or interactions.voided_at >= anchors.as_of)
    -- Nothing but equality in the join: with more DuckDB compares every row with every customer.
    left join customers on interactions.customer_id = customers.customer_id
    where
        -- A guest is nobody, but bought.
        interactions.customer_id is null
        or (
            customers.customer_id is not null
            and (customers.joined_at is null or customers.joined_at < anchors.as_of)
        )

),

final as (

    select
        known.as_of,
        known.customer_id,
        known.product_id,
        known.order_id,
        known.event_type,
        known.occurred_at,
        cast(known.occurred_at as date) as occurred_on,
        {{ days_between('known.occurred_at', 'known.as_of') }} as age_days,
        known.quantity - coalesce(returned.quantity, 0) as quantity,
        known.weight,
        known.list_price,
        known.rating,
        known.duration_seconds
    from known
    -- Only purchases have an order.
    left join returned
        on
            known.as_of = returned.as_of
            and known.order_id = returned.order_id
            and known.product_id = returned.product_id

)

select * from final
