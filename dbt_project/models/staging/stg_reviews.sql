with accepted as (

    {{ by_person(ref('base_reviews')) }}
    where profiles.reject_reason is null and {{ is_known('profiles.reviewed_at') }}

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
