-- What one unit of a currency is worth in the shop's, from when and until when. Of a shop whose currency is
-- unknown nothing can be converted.
with rates as (

    select
        rates.currency,
        rates.valid_from,
        rates.rate
    from {{ ref('stg_exchange_rates') }} as rates
    inner join {{ ref('int_shop_currency') }} as shop on rates.currency <> shop.currency

),

final as (

    select
        currency,
        valid_from,
        coalesce(
            lead(valid_from) over (partition by currency order by valid_from), cast('2200-01-01' as timestamp)
        ) as valid_until,
        rate
    from rates

)

select * from final
order by currency, valid_from
