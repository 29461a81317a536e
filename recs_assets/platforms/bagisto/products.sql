-- What can be bought on a page of its own: a configurable product stands for its variants. A product has a row per
-- language and channel; English counts, else the first. What only orders name was deleted: it is learned from, and never
-- offered.
with flat as (
    select * from files.product_flat
    where name is not null
    qualify row_number() over (partition by product_id order by locale <> 'en', locale, channel) = 1
),

variants as (
    select
        products.parent_id,
        min(flat.price) as price
    from files.products as products
    inner join flat on products.id = flat.product_id
    where products.parent_id is not null
    group by products.parent_id
),

images as (
    select product_id, arg_min(path, id::bigint) as path from files.product_images group by product_id
),

category_names as (
    select category_id, name from files.category_translations
    qualify row_number() over (partition by category_id order by locale <> 'en', locale, name) = 1
),

-- Of several categories one that stands below another; the root is none.
categories as (
    select
        links.product_id,
        names.name,
        coalesce(case when parents.parent_id is not null then parent_names.name end, names.name) as parent_name
    from files.product_categories as links
    inner join files.categories as places on links.category_id = places.id
    inner join category_names as names on places.id = names.category_id
    left join files.categories as parents on places.parent_id = parents.id
    left join category_names as parent_names on parents.id = parent_names.category_id
    where places.parent_id is not null
    qualify
        row_number() over (partition by links.product_id order by parents.parent_id is null, names.name, places.id) = 1
),

-- A product that was made again, or moved here with the shop, was sold before its page says so.
first_sales as (
    select
        lines.product_id,
        min(orders.created_at) as sold_at
    from files.order_items as lines
    inner join files.orders as orders on lines.order_id = orders.id
    group by lines.product_id
),

catalogue as (
    select
        products.id as product_id,
        flat.name,
        least(products.created_at, first_sales.sold_at) as start_at,
        case
            when not coalesce(flat.status, false) or not coalesce(flat.visible_individually, false)
                then greatest(products.created_at, timestamptz '1970-01-01 00:00:00+00')
        end as end_at,
        categories.name as category,
        categories.parent_name as vertical,
        coalesce(nullif(flat.price, 0), variants.price) as price,
        coalesce(nullif(flat.description, ''), flat.short_description) as description,
        json_object('sku', products.sku, 'url_key', flat.url_key, 'image', images.path)::varchar as attributes
    from files.products as products
    left join flat on products.id = flat.product_id
    left join variants on products.id = variants.parent_id
    left join images on products.id = images.product_id
    left join categories on products.id = categories.product_id
    left join first_sales on products.id = first_sales.product_id
    where products.parent_id is null
),

sold as (
    select
        coalesce(products.parent_id, lines.product_id, 'name-' || md5(lines.name)) as product_id,
        max(lines.name) as name
    from files.order_items as lines
    left join files.products as products on lines.product_id = products.id
    where lines.parent_id is null
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
