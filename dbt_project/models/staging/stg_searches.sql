-- What somebody did who was not signed in is nobody's history, so it stands in no table after this.
with accepted as (

    {{ by_person(ref('base_searches')) }}
    where
        profiles.reject_reason is null
        and profiles.customer_id is not null
        and {{ is_known('profiles.searched_at') }}

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
