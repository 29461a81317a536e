-- A product with all of its variations. What only orders name was taken out of the catalogue: it is learned from, and
-- never offered.
with rows_named as (
    select
        *,
        coalesce("Type", '') like '%variation%' as is_variation
    from files.products
),

owned as (
    select
        rows_named.*,
        coalesce(parents."ID", rows_named."ID") as product_id
    from rows_named
    left join files.products as parents
        on
            rows_named.is_variation
            and (rows_named."Parent" = 'id:' || parents."ID" or rows_named."Parent" = nullif(parents."SKU", ''))
),

variations as (
    select
        product_id,
        min("Regular price") as price
    from owned
    where is_variation
    group by product_id
),

-- As order_items.sql finds what a line names.
by_sku as (
    select nullif(trim("SKU"), '') as sku from owned group by 1 having count(distinct product_id) = 1
),

by_name as (
    select "Name" as name from owned group by 1 having count(distinct product_id) = 1
),

catalogue as (
    select
        products."ID" as product_id,
        products."Name" as name,
        case when products."Published" = 1 then null else timestamptz '1970-01-01 00:00:00+00' end as end_at,
        trim(string_split(products."Brands", ',')[1]) as brand,
        -- Of several categories the first; of a path its end, and what stands above it.
        case
            when products."Type" like '%gift%card%' then 'Gift Cards'
            else trim(string_split(string_split(products."Categories", ',')[1], '>')[-1])
        end as category,
        trim(coalesce(
            string_split(string_split(products."Categories", ',')[1], '>')[-2], string_split(products."Categories", ',')[1]
        )) as vertical,
        coalesce(products."Regular price", variations.price) as price,
        trim(string_split(products."Images", ',')[1]) as image_url,
        coalesce(nullif(products."Description", ''), products."Short description") as description,
        json_object('sku', products."SKU", 'tags', products."Tags")::varchar as attributes
    from rows_named as products
    left join variations on products."ID" = variations.product_id
    where not products.is_variation
),

sold as (
    select
        coalesce('sku-' || nullif(trim(orders."SKU"), ''), 'name-' || md5(orders."Item Name")) as product_id,
        max(orders."Item Name") as name
    from files.orders as orders
    left join by_sku on nullif(trim(orders."SKU"), '') = by_sku.sku
    left join by_name on orders."Item Name" = by_name.name
    where orders."Item Name" is not null and by_sku.sku is null and by_name.name is null
    group by 1
)

select * from catalogue
union all by name
select
    product_id,
    name,
    timestamptz '1970-01-01 00:00:00+00' as end_at
from sold
order by product_id
