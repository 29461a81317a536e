{%- set wholesale = var('wholesale') -%}
{%- set signs = {'units per line': 'units_per_line', 'spend per order': 'spend_per_order', 'lines per order': 'lines_per_order'} -%}
-- Whose rows teach no model anything: who objected, and who buys as no person does - a reseller, an
-- office, a till that is booked as one customer. The shop names them, or what they usually order is many
-- times what its customers usually do, in two ways at least: one alone is a large family's, or a feast's.
with objected as (

    select customer_id from {{ ref('int_consents_resolved') }} where consent_state = 'objected'

),

orders as (

    select * from {{ ref('int_orders_judged') }} where customer_id is not null

),

order_counts as (

    select
        customer_id,
        count(*) as order_count
    from orders
    group by customer_id

),

lines as (

    select
        orders.customer_id,
        orders.order_id,
        items.quantity,
        {{ convert_amount('items.amount', exchange_rate('orders.currency', 'shop', 'rates')) }} as amount
    from {{ ref('stg_order_items') }} as items
    inner join orders on items.order_id = orders.order_id
    cross join {{ ref('int_shop_currency') }} as shop
    left join {{ ref('int_exchange_rates') }} as rates
        on
            orders.currency = rates.currency
            and orders.ordered_at >= rates.valid_from
            and orders.ordered_at < rates.valid_until
    where orders.counts_as = 'purchase' or orders.undone_at is not null

),

units as (

    select
        customer_id,
        {{ quantile('quantity', 0.5) }} as units_per_line
    from lines
    group by customer_id

),

baskets as (

    select
        customer_id,
        order_id,
        count(*) as line_count,
        {{ exact_sum('amount', 6) }} as spend
    from lines
    group by customer_id, order_id

),

habits as (

    select
        baskets.customer_id,
        units.units_per_line,
        {{ quantile('baskets.spend', 0.5) }} as spend_per_order,
        {{ quantile('baskets.line_count', 0.5) }} as lines_per_order
    from baskets
    inner join units on baskets.customer_id = units.customer_id
    group by baskets.customer_id, units.units_per_line

),

usual as (

    -- Medians of medians: as long as most customers are people, no wholesaler moves what is usual.
    select
        count(*) as customers,
        {%- for habit in signs.values() %}
        {{ quantile(habit, 0.5) }} as {{ habit }}{{ ',' if not loop.last }}
        {%- endfor %}
    from habits

),

seen as (

    select
        order_counts.customer_id,
        case when order_counts.order_count > {{ wholesale.orders }} then 'orders' end as by_orders,
        {%- for habit in signs.values() %}
        case
            when
                usual.customers >= {{ wholesale.least_customers }}
                and habits.{{ habit }} >= {{ wholesale[habit] }} * usual.{{ habit }}
                {%- if habit == 'units_per_line' %}
                and habits.{{ habit }} >= {{ wholesale.least_units }}
                {%- endif %}
                then 1
            else 0
        end as by_{{ habit }}{{ ',' if not loop.last }}
        {%- endfor %}
    from order_counts
    cross join usual
    left join habits on order_counts.customer_id = habits.customer_id

),

detected as (

    select
        customer_id,
        concat_ws(
            ', ',
            by_orders
            {%- for sign, habit in signs.items() %},
            case when by_{{ habit }} = 1 then '{{ sign }}' end
            {%- endfor %}
        ) as signs
    from seen
    where
        {{ wholesale.detect }}
        and (by_orders is not null or {% for habit in signs.values() %}by_{{ habit }}{{ ' + ' if not loop.last }}{% endfor %} >= 2)
        {%- if wholesale.people %}
        and customer_id not in (
            select customer_id from {{ ref('stg_customers') }} where {{ is_one_of(wholesale.people) }}
        )
        {%- endif %}

),

named as (

    select
        customer_id,
        'named by the shop' as signs
    from {{ ref('stg_customers') }}
    where {% if wholesale.customers %}{{ is_one_of(wholesale.customers) }}{% else %}false{% endif %}

),

wholesalers as (

    select * from named
    union all
    select * from detected where customer_id not in (select customer_id from named)

),

final as (

    select
        coalesce(objected.customer_id, wholesalers.customer_id) as customer_id,
        case when objected.customer_id is not null then 'objected' else 'wholesale' end as reason,
        wholesalers.signs
    from objected
    full outer join wholesalers on objected.customer_id = wholesalers.customer_id

)

select * from final
order by customer_id
