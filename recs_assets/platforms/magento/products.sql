-- The default texts and prices (store 0) of what can be bought on a page of its own: a configurable product stands for
-- its variants. What only orders name was deleted: it is learned from, and never offered.
with texts as (
    select
        found.entity_id,
        max(case when codes.attribute_code = 'name' then found.value end) as name,
        max(case when codes.attribute_code = 'url_key' then found.value end) as url_key,
        max(case when codes.attribute_code = 'image' then found.value end) as image
    from files.catalog_product_entity_varchar as found
    inner join files.eav_attribute as codes on found.attribute_id = codes.attribute_id
    where found.store_id = 0 and codes.attribute_code in ('name', 'url_key', 'image')
    group by found.entity_id
),

descriptions as (
    select found.entity_id, max(found.value) as description
    from files.catalog_product_entity_text as found
    inner join files.eav_attribute as codes on found.attribute_id = codes.attribute_id
    where found.store_id = 0 and codes.attribute_code = 'description'
    group by found.entity_id
),

prices as (
    select
        found.entity_id,
        max(case when codes.attribute_code = 'price' then found.value end) as price,
        max(case when codes.attribute_code = 'cost' then found.value end) as cost
    from files.catalog_product_entity_decimal as found
    inner join files.eav_attribute as codes on found.attribute_id = codes.attribute_id
    where found.store_id = 0 and codes.attribute_code in ('price', 'cost')
    group by found.entity_id
),

choices as (
    select
        found.entity_id,
        max(case when codes.attribute_code = 'status' then found.value end) as status,
        max(case when codes.attribute_code = 'visibility' then found.value end) as visibility,
        max(case when codes.attribute_code = 'manufacturer' then labels.value end) as manufacturer
    from files.catalog_product_entity_int as found
    inner join files.eav_attribute as codes on found.attribute_id = codes.attribute_id
    left join files.eav_attribute_option_value as labels
        on found.value::varchar = labels.option_id and labels.store_id = 0 and codes.attribute_code = 'manufacturer'
    where found.store_id = 0 and codes.attribute_code in ('status', 'visibility', 'manufacturer')
    group by found.entity_id
),

variants as (
    select
        links.parent_id,
        min(prices.price) as price,
        min(prices.cost) as cost
    from files.catalog_product_super_link as links
    left join prices on links.product_id = prices.entity_id
    group by links.parent_id
),

category_names as (
    select found.entity_id, max(found.value) as name
    from files.catalog_category_entity_varchar as found
    inner join files.eav_attribute as codes on found.attribute_id = codes.attribute_id
    where found.store_id = 0 and codes.attribute_code = 'name'
    group by found.entity_id
),

-- The deepest category of a product, and the one on the first level of the menu above it (1/2/<that>/...).
categories as (
    select
        links.product_id,
        names.name,
        coalesce(tops.name, names.name) as top_name
    from files.catalog_category_product as links
    inner join files.catalog_category_entity as places on links.category_id = places.entity_id
    inner join category_names as names on places.entity_id = names.entity_id
    left join category_names as tops on string_split(places.path, '/')[3] = tops.entity_id
    where places.level >= 2
    qualify row_number() over (partition by links.product_id order by places.level desc, names.name, places.entity_id) = 1
),

-- A product that was made again, or moved here with the shop, was sold before its page says so.
first_sales as (
    select
        lines.product_id,
        min(orders.created_at) as sold_at
    from files.sales_order_item as lines
    inner join files.sales_order as orders on lines.order_id = orders.entity_id
    group by lines.product_id
),

catalogue as (
    select
        products.entity_id as product_id,
        texts.name,
        least(products.created_at, first_sales.sold_at) as start_at,
        case
            when coalesce(choices.status, 1) = 2 or coalesce(choices.visibility, 4) = 1
                then greatest(products.created_at, timestamptz '1970-01-01 00:00:00+00')
        end as end_at,
        choices.manufacturer as brand,
        case when products.type_id = 'giftcard' then 'Gift Cards' else categories.name end as category,
        categories.top_name as vertical,
        coalesce(nullif(prices.price, 0), variants.price) as price,
        coalesce(prices.cost, variants.cost) as cost,
        descriptions.description,
        json_object('sku', products.sku, 'url_key', texts.url_key, 'image', texts.image)::varchar as attributes
    from files.catalog_product_entity as products
    left join texts on products.entity_id = texts.entity_id
    left join descriptions on products.entity_id = descriptions.entity_id
    left join prices on products.entity_id = prices.entity_id
    left join choices on products.entity_id = choices.entity_id
    left join variants on products.entity_id = variants.parent_id
    left join categories on products.entity_id = categories.product_id
    left join first_sales on products.entity_id = first_sales.product_id
    where products.entity_id not in (select links.product_id from files.catalog_product_super_link as links)
),

sold as (
    select
        coalesce(links.parent_id, lines.product_id, 'name-' || md5(lines.name)) as product_id,
        max(lines.name) as name
    from files.sales_order_item as lines
    left join (
        select product_id, min(parent_id) as parent_id from files.catalog_product_super_link group by product_id
    ) as links on lines.product_id = links.product_id
    where lines.parent_item_id is null
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
