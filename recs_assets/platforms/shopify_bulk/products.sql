-- A product is a page of the shop, with all of its variants. What only orders name was taken out of the catalogue: it
-- is learned from, and never offered.
with pages as (
    select * from files.products where __parentId is null
    qualify row_number() over (partition by id order by title, status) = 1
),

variants as (
    select
        __parentId as parent_id,
        min(price) as price,
        min((inventoryItem ->> '$.unitCost.amount')::double) as cost
    from files.products
    where id like 'gid://shopify/ProductVariant/%'
    group by __parentId
),

-- A product that was made again, or moved here with the shop, was sold before its page says so.
first_sales as (
    select
        lines.product ->> '$.id' as product_id,
        min(orders.createdAt) as sold_at
    from files.orders as lines
    inner join files.orders as orders on lines.__parentId = orders.id
    where lines.id like 'gid://shopify/LineItem/%'
    group by 1
),

catalogue as (
    select
        regexp_extract(pages.id, '[0-9]+$') as product_id,
        pages.title as name,
        least(pages.createdAt, first_sales.sold_at) as start_at,
        -- Not offered now: since when is not said.
        case when pages.status <> 'ACTIVE' then greatest(pages.createdAt, timestamptz '1970-01-01 00:00:00+00') end as end_at,
        pages.vendor as brand,
        case
            when pages.isGiftCard then 'Gift Cards'
            else coalesce(nullif(pages.productType, ''), trim(string_split(pages.category ->> '$.fullName', '>')[-1]))
        end as category,
        trim(string_split(pages.category ->> '$.fullName', '>')[-2]) as vertical,
        variants.price,
        variants.cost,
        pages.onlineStoreUrl as url,
        pages.featuredMedia ->> '$.preview.image.url' as image_url,
        pages.descriptionHtml as description,
        json_object('handle', pages.handle, 'tags', pages.tags::json)::varchar as attributes
    from pages
    left join variants on pages.id = variants.parent_id
    left join first_sales on pages.id = first_sales.product_id
),

sold as (
    select
        coalesce('sku-' || nullif(sku, ''), 'name-' || md5(title)) as product_id,
        max(title) as name,
        max(vendor) as brand
    from files.orders
    where id like 'gid://shopify/LineItem/%' and (product ->> '$.id') is null
    group by 1
),

-- Deleted from the catalogue, though the line still knows its number.
gone as (
    select
        regexp_extract(product ->> '$.id', '[0-9]+$') as product_id,
        max(title) as name,
        max(vendor) as brand
    from files.orders
    where
        id like 'gid://shopify/LineItem/%'
        and regexp_extract(product ->> '$.id', '[0-9]+$') not in (select catalogue.product_id from catalogue)
    group by 1
)

select * from catalogue
union all by name
select
    product_id,
    name,
    brand,
    timestamptz '1970-01-01 00:00:00+00' as end_at
from (select * from sold union all select * from gone)
order by product_id
