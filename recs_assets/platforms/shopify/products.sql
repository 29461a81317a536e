-- A product is a page of the shop, with all of its variants. What only orders name was taken out of the catalogue: it
-- is learned from, and never offered.
with rows_named as (
    select
        *,
        nullif(ltrim(trim("Variant SKU"), ''''), '') as sku,
        max("Title") over (partition by "Handle")
        || case when "Option1 Value" <> 'Default Title' then ' - ' else '' end
        || concat_ws(' / ', nullif("Option1 Value", 'Default Title'), "Option2 Value", "Option3 Value") as line_name
    from files.products
    where "Handle" is not null
),

catalogue as (
    select
        "Handle" as product_id,
        max("Title") as name,
        max("Vendor") as brand,
        case
            when bool_or("Gift Card") then 'Gift Cards'
            else coalesce(max(nullif("Type", '')), max(trim(regexp_extract("Product Category", '[^>]+$'))))
        end as category,
        -- The level above the last.
        max(trim(coalesce(string_split("Product Category", '>')[-2], "Product Category"))) as vertical,
        min("Variant Price") as price,
        min("Cost per item") as cost,
        arg_min("Image Src", coalesce("Image Position", 1)) as image_url,
        max("Body (HTML)") as description,
        json_object('handle', "Handle", 'tags', max("Tags"))::varchar as attributes,
        coalesce(max("Status"), 'active') = 'active' and coalesce(bool_and("Published"), true) as is_offered
    from rows_named
    group by "Handle"
),

by_sku as (
    select distinct sku from rows_named where sku is not null and "Variant Price" is not null
    qualify count(distinct "Handle") over (partition by sku) = 1
),

by_name as (
    select distinct line_name from rows_named where "Variant Price" is not null
    qualify count(distinct "Handle") over (partition by line_name) = 1
),

sold as (
    select
        coalesce(
            'sku-' || nullif(ltrim(trim(source."Lineitem sku"), ''''), ''),
            'name-' || md5(source."Lineitem name")
        ) as product_id,
        max(source."Lineitem name") as name,
        max(source."Vendor") as brand
    from files.orders as source
    left join by_sku on nullif(ltrim(trim(source."Lineitem sku"), ''''), '') = by_sku.sku
    left join by_name on source."Lineitem name" = by_name.line_name
    where by_sku.sku is null and by_name.line_name is null and source."Lineitem name" is not null
    group by 1
)

select
    product_id,
    name,
    case when not is_offered then timestamptz '1970-01-01 00:00:00+00' end as end_at,
    brand,
    category,
    vertical,
    price,
    cost,
    image_url,
    description,
    attributes
from catalogue
union all by name
select
    product_id,
    name,
    brand,
    timestamptz '1970-01-01 00:00:00+00' as end_at
from sold
order by product_id
