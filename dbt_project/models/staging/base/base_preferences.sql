with source as (

    select
        {{ clean_text('customer_id') }} as customer_id,
        {{ clean_text('question') }} as question,
        {{ clean_code('facet') }} as facet,
        {{ clean_text('answer') }} as answer,
        answered_at
    from {{ source('raw', 'preferences') }}

),

customers as (

    select customer_id, joined_at from {{ ref('base_customers') }} where reject_reason is null

),

judged as (

    select
        source.*,
        case
            {{ when_id_is_bad(['source.customer_id', 'source.question', 'source.answer']) }}
            {{ when_orphan('orphan_customer', 'customers.customer_id', 'customers.joined_at', 'source.answered_at') }}
            {{ when_date_is_bad('source.answered_at') }}
            when source.facet is null then 'missing_value'
            when source.facet not in ('category', 'brand') then 'unknown_facet'
        end as failed_check
    from source
    left join customers on source.customer_id = customers.customer_id

),

final as (

    {{ with_duplicates_rejected(
        'judged', key=['customer_id', 'question', 'facet', 'answer', 'answered_at'], columns=[], event_at='answered_at'
    ) }}

)

select * from final
