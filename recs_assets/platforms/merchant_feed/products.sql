-- An offer of the feed is a product under its id, which must be the one that orders and events use. The feed has no date:
-- what is sold out in it is not offered as long as it says so.
with offers as (
    select
        *,
        nullif(coalesce("product type", product_type), '') as own_paths,
        coalesce("google product category", google_product_category) as google_path,
        regexp_extract(price, '[0-9][0-9.,]*') as price_number,
        regexp_extract(coalesce("cost of goods sold", cost_of_goods_sold), '[0-9][0-9.,]*') as cost_number
    from files.feed
    qualify row_number() over (partition by id order by title, price, link) = 1
),

-- The shop's own places of it stand one behind the other with commas, but a comma may also be part of a name: it ends a
-- place where there is a > on either side, or none at all.
placed as (
    select
        *,
        case
            when not contains(own_paths, '>') then string_split(own_paths, ',')[1]
            else coalesce(nullif(regexp_extract(own_paths, '^([^>]*>.*?),.*>', 1), ''), own_paths)
        end as own_path
    from offers
)

select
    id as product_id,
    title as name,
    case
        when replace(lower(trim(availability)), ' ', '_') not in ('in_stock', 'preorder', 'backorder', 'limited_availability')
            then timestamptz '1970-01-01 00:00:00+00'
    end as end_at,
    nullif(coalesce("item group id", item_group_id), '') as parent_id,
    brand,
    -- The shop's own place of it, of several the first; a number of Google's taxonomy says nothing.
    trim(coalesce(
        string_split(own_path, '>')[-1],
        case when not regexp_full_match(trim(google_path), '[0-9]+') then string_split(google_path, '>')[-1] end
    )) as category,
    trim(coalesce(
        string_split(own_path, '>')[-2],
        string_split(own_path, '>')[1],
        case when not regexp_full_match(trim(google_path), '[0-9]+') then string_split(google_path, '>')[1] end
    )) as vertical,
    -- 12.34, 12,34, 1,234.50 or 1.234,50: what stands before the last two digits is the decimal sign.
    try_cast(
        regexp_replace(regexp_replace(price_number, '[.,]([0-9]{1,2})$', '_\1'), '[.,]', '', 'g').replace('_', '.') as double
    ) as price,
    try_cast(
        regexp_replace(regexp_replace(cost_number, '[.,]([0-9]{1,2})$', '_\1'), '[.,]', '', 'g').replace('_', '.') as double
    ) as cost,
    link as url,
    coalesce("image link", image_link) as image_url,
    description,
    json_object('gtin', gtin)::varchar as attributes
from placed
order by product_id
