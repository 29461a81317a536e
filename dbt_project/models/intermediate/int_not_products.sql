{#- A sign counts where it tells a product from most others. -#}
{%- set said = var('not_products') -%}
{%- set words = var('not_product_words').values() | sum(start=[]) -%}
{%- set whole_names = words + (var('not_product_names').values() | sum(start=[])) -%}
-- What stands in the catalogue and is no product: postage, fees, deposits, vouchers. What the shop says
-- counts alone; as long as it has not said, what looks like it is suspected, and kept out where its name
-- and a further sign agree.
with products as (

    select
        product_id,
        name,
        category,
        {{ folded('name') }} as folded_name,
        {{ folded('category') }} as folded_category,
        {{ folded('product_id') }} as folded_id,
        {{ id_shape('product_id') }} as id_shape
    from {{ ref('stg_products') }}

),

lines as (

    select
        product_id,
        order_id,
        -- What came for nothing says nothing of a price.
        case when amount + discount > 0 then (amount + discount) / quantity end as unit_price
    from {{ ref('int_order_lines_purchased') }}

),

sold as (

    select
        product_id,
        count(distinct order_id) as baskets,
        case
            when count(unit_price) >= 5 then {{ quantile('unit_price', 0.9) }} / {{ quantile('unit_price', 0.1) }}
        end as price_spread
    from lines
    group by product_id

),

usual as (

    -- Of a wholesaler with breaks every price varies.
    select {{ quantile('price_spread', 0.5) }} as price_spread from sold

),

orders as (

    select count(distinct order_id) as baskets from lines

),

shapes as (

    select
        id_shape,
        count(*) as products,
        sum(count(*)) over () as all_products
    from products
    group by id_shape

),

shop as (

    select
        count(*) as products,
        count(category) as with_category
    from products

),

signed as (

    select
        products.product_id,
        products.name,
        products.category,
        coalesce(sold.baskets, 0) as baskets,
        {{ ratio('coalesce(sold.baskets, 0)', 'orders.baskets') }} as basket_share,
        {%- if said is not none %}
        products.product_id in ({{ sql_texts(said.products) }}) as is_declared_product,
        {{ lower_case('products.category') }} in ({{ sql_texts(said.categories, fold=true) }}) as is_declared_category,
        {{ holds_phrase('products.folded_name', said.name_patterns) }} as has_declared_name
        {%- else %}
        {{ holds_phrase('products.folded_name', words) }} as name_holds_word,
        {{ is_phrase('products.folded_name', whole_names) }} as name_is_word,
        {{ holds_phrase('products.folded_id', words) }}
        or {{ is_phrase('products.folded_id', whole_names) }} as id_holds_word,
        coalesce({{ holds_phrase('products.folded_category', words) }}, false) as category_holds_word,
        products.category is null and shop.with_category >= 0.5 * shop.products as has_no_category,
        shapes.products < 0.02 * shapes.all_products as has_unusual_id,
        coalesce(sold.baskets, 0) >= 0.05 * orders.baskets and coalesce(sold.baskets, 0) >= 10 as is_in_many_baskets,
        coalesce(sold.price_spread > greatest(3, 1.5 * usual.price_spread), false) as has_varying_price
        {%- endif %}
    from products
    cross join shop
    cross join orders
    cross join usual
    inner join shapes on products.id_shape = shapes.id_shape
    left join sold on products.product_id = sold.product_id

),

judged as (

    select
        product_id,
        baskets,
        basket_share,
        {%- if said is not none %}
        concat_ws(
            ', ',
            case when is_declared_product then 'product' end,
            case when is_declared_category then 'category' end,
            case when has_declared_name then 'name' end
        ) as signs,
        'declared' as verdict
    from signed
    where is_declared_product or is_declared_category or has_declared_name
        {%- else %}
        concat_ws(
            ', ',
            case when name_holds_word or name_is_word then 'name' end,
            case when name_is_word then 'nothing else in the name' end,
            case when id_holds_word then 'id' end,
            case when category_holds_word then 'category' end,
            case when has_no_category then 'no category' end,
            case when has_unusual_id then 'id of another shape' end,
            case when is_in_many_baskets then 'in many baskets' end,
            case when has_varying_price then 'price varies' end
        ) as signs,
        case
            when
                (name_holds_word or name_is_word or id_holds_word)
                and (
                    name_is_word or category_holds_word or has_no_category or has_unusual_id
                    or is_in_many_baskets or has_varying_price
                )
                then 'kept_out'
            else 'suspected'
        end as verdict
    from signed
    where
        name_holds_word or name_is_word or id_holds_word or category_holds_word
        or (has_no_category and (is_in_many_baskets or has_varying_price))
        or (has_unusual_id and (is_in_many_baskets or has_varying_price))
        {%- endif %}

),

final as (

    select * from judged

)

select * from final
order by product_id
