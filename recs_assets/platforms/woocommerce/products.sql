-- A product with all of its variations. What only orders name was deleted: it is learned from, and never offered.
with meta as (
    select
        post_id,
        min(case when meta_key = '_regular_price' then try_cast(nullif(meta_value, '') as double) end) as regular_price,
        min(case when meta_key = '_price' then try_cast(nullif(meta_value, '') as double) end) as price,
        min(case when meta_key = '_cogs_total_value' then try_cast(nullif(meta_value, '') as double) end) as cost,
        max(case when meta_key = '_sku' then nullif(meta_value, '') end) as sku,
        max(case when meta_key = '_thumbnail_id' then meta_value end) as thumbnail_id
    from files.postmeta
    where meta_key in ('_regular_price', '_price', '_cogs_total_value', '_sku', '_thumbnail_id')
    group by post_id
),

variations as (
    select
        posts.post_parent as product_id,
        min(meta.regular_price) as regular_price,
        min(meta.cost) as cost
    from files.posts as posts
    inner join meta on posts."ID" = meta.post_id
    where posts.post_type = 'product_variation' and posts.post_status = 'publish'
    group by posts.post_parent
),

terms as (
    select
        relationships.object_id as product_id,
        taxonomy.taxonomy,
        terms.name,
        parents.name as parent_name
    from files.term_relationships as relationships
    inner join files.term_taxonomy as taxonomy on relationships.term_taxonomy_id = taxonomy.term_taxonomy_id
    inner join files.terms as terms on taxonomy.term_id = terms.term_id
    left join files.terms as parents on taxonomy.parent = parents.term_id
),

-- Of several categories one below another.
categories as (
    select product_id, name, coalesce(parent_name, name) as parent_name from terms
    where taxonomy = 'product_cat'
    qualify row_number() over (partition by product_id order by (parent_name is null), name) = 1
),

brands as (
    select product_id, min(name) as name from terms
    where taxonomy in ('product_brand', 'pwb-brand', 'yith_product_brand', 'pa_brand')
    group by product_id
),

gift_cards as (
    select distinct product_id from terms
    where taxonomy = 'product_type' and regexp_matches(name, '(^|-)gift-?card$')
),

-- A product that was made again, or moved here with the shop, was sold before its page says so.
first_sales as (
    select
        meta.meta_value as product_id,
        min(orders.date_created_gmt) as sold_at
    from files.woocommerce_order_itemmeta as meta
    inner join files.woocommerce_order_items as items on meta.order_item_id = items.order_item_id
    inner join files.wc_orders as orders on items.order_id = orders.id
    where meta.meta_key = '_product_id'
    group by meta.meta_value
),

catalogue as (
    select
        posts."ID" as product_id,
        posts.post_title as name,
        timezone('UTC', least(posts.post_date_gmt, first_sales.sold_at)) as start_at,
        case
            when posts.post_status = 'publish' then null
            else greatest(timezone('UTC', posts.post_date_gmt), timestamptz '1970-01-01 00:00:00+00')
        end as end_at,
        brands.name as brand,
        case when gift_cards.product_id is not null then 'Gift Cards' else categories.name end as category,
        categories.parent_name as vertical,
        coalesce(meta.regular_price, variations.regular_price, meta.price) as price,
        coalesce(meta.cost, variations.cost) as cost,
        images.guid as image_url,
        coalesce(nullif(posts.post_content, ''), posts.post_excerpt) as description,
        json_object('sku', meta.sku, 'slug', posts.post_name)::varchar as attributes
    from files.posts as posts
    left join meta on posts."ID" = meta.post_id
    left join variations on posts."ID" = variations.product_id
    left join categories on posts."ID" = categories.product_id
    left join brands on posts."ID" = brands.product_id
    left join gift_cards on posts."ID" = gift_cards.product_id
    left join first_sales on posts."ID" = first_sales.product_id
    left join files.posts as images on meta.thumbnail_id = images."ID" and images.post_type = 'attachment'
    where posts.post_type = 'product' and posts.post_status not in ('auto-draft', 'trash')
),

sold as (
    select
        coalesce(nullif(meta.meta_value, '0'), 'name-' || md5(items.order_item_name)) as product_id,
        max(items.order_item_name) as name
    from files.woocommerce_order_items as items
    inner join files.woocommerce_order_itemmeta as meta
        on items.order_item_id = meta.order_item_id and meta.meta_key = '_product_id'
    where items.order_item_type = 'line_item'
    group by 1
)

select * from catalogue
union all by name
select
    product_id,
    name,
    timestamptz '1970-01-01 00:00:00+00' as end_at
from sold
where product_id not in (select catalogue.product_id from catalogue)
order by product_id
