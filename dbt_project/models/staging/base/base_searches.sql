with source as (

    select
        {{ clean_text('search_id') }} as search_id,
        -- Whoever was not signed in is nobody's history.
        {{ customer_or_guest('customer_id') }} as customer_id,
        {{ clean_text('query') }} as query,
        searched_at
    from {{ source('raw', 'searches') }}

),

customers as (

    select customer_id, joined_at from {{ ref('base_customers') }} where reject_reason is null

),

judged as (

    select
        source.*,
        case
            {{ when_id_is_bad(['source.search_id'], optional=['source.customer_id']) }}
            {{ when_orphan(
                'orphan_customer', 'customers.customer_id', 'customers.joined_at', 'source.searched_at',
                pointer='source.customer_id'
            ) }}
            {{ when_date_is_bad('source.searched_at') }}
            when source.query is null then 'missing_value'
        end as failed_check
    from source
    left join customers on source.customer_id = customers.customer_id

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['search_id'],
        columns=['customer_id', 'query'],
        event_at='searched_at',
    ) }}

)

select * from final
