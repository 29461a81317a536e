-- A table: what reads it again and again should not clean the texts anew, and no reader outside dbt has
-- the function.
{{ config(materialized='table') }}

with accepted as (

    select * from {{ ref('base_products') }} where reject_reason is null

),

plain as (

    -- Texts of the shop reach titles, reasons and feeds; an address in them may be a customer's.
    select
        *,
        {{ without_emails(plain_text('name')) }} as plain_name,
        {{ without_emails(plain_text('brand')) }} as plain_brand,
        {{ without_emails(plain_text('category')) }} as plain_category,
        {{ without_emails(plain_text('vertical')) }} as plain_vertical,
        {{ without_emails(plain_text('description')) }} as plain_description
    from accepted

),

final as (

    select
        product_id,
        -- An id in the place of a title is none; a title that serves as id is (it has blanks).
        case
            when plain_name <> product_id or contains(plain_name, ' ') then {{ stated('plain_name') }}
        end as name,
        start_at,
        end_at,
        -- WooCommerce writes 0 for no parent.
        nullif({{ stated('parent_id') }}, '0') as parent_id,
        {{ stated('plain_brand') }} as brand,
        {{ stated('plain_category') }} as category,
        {{ stated('plain_vertical') }} as vertical,
        price,
        cost,
        {{ stated(unescaped_url('url')) }} as url,
        {{ stated(unescaped_url('image_url')) }} as image_url,
        {{ stated('plain_description') }} as description,
        {{ without_emails('attributes') }} as attributes,
        {{ stated('merchant_id') }} as merchant_id
    from plain

)

select * from final
