-- The currency of every price: as declared, else the only one that the orders name, else unknown;
-- `$` is no code.
with named as (

    select distinct currency from {{ ref('stg_orders') }} where currency is not null

),

final as (

    select
        count(*) as currencies_named,
        {%- if var('shop_currency') %}
        '{{ var("shop_currency") }}' as currency
        {%- else %}
        case when count(*) = 1 and {{ is_currency_code('min(currency)') }} then min(currency) end as currency
        {%- endif %}
    from named

)

select * from final
