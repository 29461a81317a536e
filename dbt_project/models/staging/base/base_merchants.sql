with source as (

    select
        {{ clean_text('merchant_id') }} as merchant_id,
        coalesce({{ clean_text('name') }}, {{ clean_text('merchant_id') }}) as name,
        {{ clean_text('country') }} as country
    from {{ source('raw', 'merchants') }}

),

judged as (

    select
        *,
        case
            {{ when_id_is_bad(['merchant_id']) }}
        end as failed_check
    from source

),

final as (

    {{ with_duplicates_rejected('judged', key=['merchant_id'], columns=['name', 'country']) }}

)

select * from final
