-- A negative line names no sale. Pile up the units a customer bought of a product and let each credit
-- take from the top, so that it undoes the newest sale before it, its own order's first: the units of a
-- pile lie between two levels, and a unit that is taken was laid down by the event before at its level.
with credited as (

    select
        order_id,
        customer_id,
        product_id,
        ordered_at,
        sum(abs(cast(quantity as decimal(38, 6)))) as units
    from {{ ref('base_order_items') }}
    where reject_reason is null and is_credit and {{ is_known('ordered_at') }}
    group by order_id, customer_id, product_id, ordered_at

),

lines as (

    select * from {{ ref('int_order_lines_purchased') }}

),

unsold as (

    -- What an order that is no purchase takes back of itself was never sold.
    select
        items.order_id,
        items.product_id,
        sum(cast(items.quantity as decimal(38, 6))) as units
    from {{ ref('stg_order_items') }} as items
    inner join credited on items.order_id = credited.order_id and items.product_id = credited.product_id
    left join (select distinct order_id from lines) as purchases on items.order_id = purchases.order_id
    where purchases.order_id is null
    group by items.order_id, items.product_id

),

credits as (

    select
        credited.order_id,
        credited.customer_id,
        -- A guest's order is an account of its own.
        case when credited.customer_id is null then credited.order_id end as guest_order_id,
        credited.product_id,
        credited.ordered_at,
        credited.units - coalesce(unsold.units, 0) as units
    from credited
    left join unsold on credited.order_id = unsold.order_id and credited.product_id = unsold.product_id
    where credited.units > coalesce(unsold.units, 0)

),

piles as (

    select distinct
        customer_id,
        guest_order_id,
        product_id
    from credits

),

sales as (

    select
        lines.order_id,
        piles.customer_id,
        piles.guest_order_id,
        lines.product_id,
        lines.ordered_at,
        sum(cast(lines.quantity as decimal(38, 6))) as units
    from lines
    inner join piles
        on
            lines.product_id = piles.product_id
            and coalesce(lines.customer_id, lines.order_id)
            = coalesce(piles.customer_id, piles.guest_order_id)
            and (lines.customer_id is null) = (piles.customer_id is null)
    group by lines.order_id, piles.customer_id, piles.guest_order_id, lines.product_id, lines.ordered_at

),

events as (

    select
        *,
        0 as is_credit
    from sales
    union all
    select
        order_id,
        customer_id,
        guest_order_id,
        product_id,
        ordered_at,
        -units as units,
        1 as is_credit
    from credits

),

summed as (

    select
        *,
        sum(units) over pile as total
    from events
    window
        pile as (
            partition by customer_id, guest_order_id, product_id
            order by ordered_at, order_id, is_credit
            rows between unbounded preceding and current row
        )

),

piled as (

    -- A credit of more than there is takes what there is: the pile never sinks below the ground.
    select
        *,
        total - least(0, min(total) over pile) as level
    from summed
    window
        pile as (
            partition by customer_id, guest_order_id, product_id
            order by ordered_at, order_id, is_credit
            rows between unbounded preceding and current row
        )

),

moved as (

    select
        *,
        coalesce(
            lag(level) over (
                partition by customer_id, guest_order_id, product_id
                order by ordered_at, order_id, is_credit
            ),
            0
        ) as level_before
    from piled

),

edges as (

    select
        customer_id,
        guest_order_id,
        product_id,
        level
    from moved
    union
    select
        customer_id,
        guest_order_id,
        product_id,
        level_before as level
    from moved

),

layers as (

    select
        *,
        lead(level) over (partition by customer_id, guest_order_id, product_id order by level) as next_level
    from edges

),

touched as (

    select
        moved.order_id,
        moved.customer_id,
        moved.product_id,
        moved.ordered_at,
        moved.is_credit,
        layers.next_level - layers.level as units,
        lag(moved.order_id) over (
            partition by moved.customer_id, moved.guest_order_id, moved.product_id, layers.level
            order by moved.ordered_at, moved.order_id, moved.is_credit
        ) as sold_order_id
    from moved
    inner join layers
        on
            moved.product_id = layers.product_id
            and coalesce(moved.customer_id, moved.guest_order_id)
            = coalesce(layers.customer_id, layers.guest_order_id)
            and (moved.customer_id is null) = (layers.customer_id is null)
            and layers.level >= least(moved.level, moved.level_before)
            and layers.next_level <= greatest(moved.level, moved.level_before)

),

final as (

    select
        order_id as credit_order_id,
        sold_order_id as order_id,
        product_id,
        ordered_at as credited_at,
        cast(sum(units) as double) as quantity
    from touched
    where is_credit = 1
    group by order_id, sold_order_id, product_id, ordered_at

)

select * from final
order by credit_order_id, order_id, product_id
