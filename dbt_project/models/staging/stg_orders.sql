with accepted as (

    {{ by_person(ref('base_orders')) }}
    where profiles.reject_reason is null and {{ is_known('profiles.ordered_at') }}

),

final as (

    select
        order_id,
        customer_id,
        ordered_at,
        status,
        currency,
        updated_at
    from accepted

)

select * from final
