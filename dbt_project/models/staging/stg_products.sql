with accepted as (

    select * from {{ ref('base_products') }} where reject_reason is null

),

final as (

    -- Texts of the shop reach titles, reasons and feeds; an address in them may be a customer's.
    select
        product_id,
        {{ without_emails('name') }} as name,
        start_at,
        end_at,
        parent_id,
        {{ without_emails('brand') }} as brand,
        {{ without_emails('category') }} as category,
        {{ without_emails('vertical') }} as vertical,
        price,
        cost,
        url,
        image_url,
        {{ without_emails('description') }} as description,
        {{ without_emails('attributes') }} as attributes,
        merchant_id
    from accepted

)

select * from final
