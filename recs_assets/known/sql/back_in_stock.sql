-- Who wanted what was sold out then and is in stock again; of the temporary tables that load.py makes before. The newest
-- count before a moment is the stock at it, so what happened before the first count says nothing.
with products as (
    select product_id, code, name, coalesce(
        nullif(trim(parent_id), ''),
        case when product_id in (select trim(parent_id) from known_products where parent_id is not null) then product_id end
    ) as parent
    from known_products
),
counts as (
    select product_id, counted_at, stock,
        lead(counted_at) over (partition by product_id order by counted_at) as until_at
    from staging.stg_inventory where counted_at < $anchor and isfinite(stock)
),
back as (
    select code, product_id, parent, name from products
    where product_id in (select product_id from counts where until_at is null and stock >= 1)
      and product_id in (select product_id from counts where until_at is not null and stock < 1)
),
sold_out as (
    select back.*, counts.counted_at as from_at, counts.until_at
    from counts join back using (product_id) where stock < 1 and until_at is not null
),
-- A search names a product if all its words are in the title, and in no title of another product or other variants.
searches as (
    select customer_id, lower(strip_accents(query)) as query, searched_at as occurred_at from staging.stg_searches
    where customer_id is not null and searched_at >= $anchor - to_days($days) and searched_at < $anchor
),
asked as (
    select query, list_distinct(list_filter(regexp_split_to_array(query, '[^\p{L}\p{N}]+'), word -> word <> '')) as words
    from (select distinct query from searches)
),
asked_words as (select query, len(words) as needed, unnest(words) as word from asked),
title_words as (
    select distinct code, coalesce(parent, product_id) as family, unnest(list_filter(
        regexp_split_to_array(lower(strip_accents(name)), '[^\p{L}\p{N}]+'), word -> word <> ''
    )) as word
    from products
),
matched as (
    select query, code, family from asked_words join title_words using (word)
    where exists (select 1 from back)
    group by query, code, family, needed having count(*) = needed
),
named as (
    select query, code from matched
    where query in (select query from matched group by query having count(distinct family) = 1)
),
signals as (
    select customer_id, products.code, parent, event_type as kind, occurred_at
    from intermediate.int_interactions_anchored join products using (product_id)
    where as_of = $anchor and customer_id is not null and event_type in ('add_to_cart', 'add_to_wishlist', 'view')
      and occurred_at >= $anchor - to_days($days)
    union all
    select customer_id, code, parent, 'search', occurred_at
    from searches join named using (query) join products using (code)
),
wanted as (
    select customer_id, sold_out.code, sold_out.parent, signals.code as wanted, kind, occurred_at
    from sold_out join signals on signals.code = sold_out.code
    where occurred_at >= from_at and occurred_at < until_at
    union all
    select customer_id, sold_out.code, sold_out.parent, signals.code, kind, occurred_at
    from sold_out join signals on signals.parent = sold_out.parent
    where signals.code <> sold_out.code and occurred_at >= from_at and occurred_at < until_at
),
strong as (
    select customer_id, code, parent, wanted, kind, max(occurred_at)::date as day
    from wanted group by all
    having kind <> 'view' or count(*) > 1
),
bought as (
    select customer_id, products.code, parent, max(occurred_on) as day
    from intermediate.int_interactions_anchored join products using (product_id)
    where as_of = $anchor and event_type = 'purchase' and customer_id is not null
    group by all
),
ranked as (
    select *, row_number() over (
        partition by customer_id, code
        order by wanted <> code, list_position($kinds, kind), day desc, wanted
    ) as place
    from strong
    where not exists (
        select 1 from bought
        where bought.customer_id = strong.customer_id and bought.day >= strong.day and bought.code = strong.code
    ) and not exists (
        select 1 from bought
        where bought.customer_id = strong.customer_id and bought.day >= strong.day and bought.parent = strong.parent
    )
)
select customers.code::integer as customer, ranked.code::integer as product, ranked.wanted::integer as wanted,
    (day - date '1970-01-01')::integer as day, (list_position($kinds, kind) - 1)::tinyint as kind
from ranked join known_customers as customers using (customer_id)
where place = 1
order by 1, 2
