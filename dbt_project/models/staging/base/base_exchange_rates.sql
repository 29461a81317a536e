with source as (

    select
        {{ currency_code('currency') }} as currency,
        valid_from,
        rate,
        {{ file_row() }} as file_row
    from {{ source('raw', 'exchange_rates') }}

),

judged as (

    select
        *,
        case
            {{ when_id_is_bad(['currency']) }}
            when not {{ is_currency_code('currency') }} then 'unknown_currency'
            {{ when_date_is_bad('valid_from') }}
            when rate is null then 'missing_value'
            when rate <= 0 then 'rate_out_of_range'
        end as failed_check
    from source

),

final as (

    {{ with_duplicates_rejected(
        'judged', key=['currency', 'valid_from'], columns=['file_row desc'], event_at='valid_from'
    ) }}

)

select * from final
