with accepted as (

    select * from {{ ref('base_searches') }} where reject_reason is null and {{ is_known('searched_at') }}

),

final as (

    select
        search_id,
        customer_id,
        query,
        searched_at
    from accepted

)

select * from final
