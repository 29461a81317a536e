with accepted as (

    select * from {{ ref('base_reviews') }} where reject_reason is null and {{ is_known('reviewed_at') }}

),

final as (

    select
        review_id,
        customer_id,
        product_id,
        rating,
        reviewed_at,
        title,
        body
    from accepted

)

select * from final
