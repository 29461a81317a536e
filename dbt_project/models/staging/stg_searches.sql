-- What somebody did who was not signed in is nobody's history, so it stands in no table after this.
with accepted as (

    select *
    from {{ ref('base_searches') }}
    where reject_reason is null and customer_id is not null and {{ is_known('searched_at') }}

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
