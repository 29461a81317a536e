{# The email table's rows of one side of the experiment. run_id and suppression_checked_at are the export's to fill. #}
{% macro email_rows(condition) -%}
with chosen as (

    select * from {{ source('model', 'email_selection') }}
    where as_of = {{ as_of_date() }} and {{ condition }}

),

products as (

    select * from {{ ref('recs_products') }}

),

-- Consent is joined last: whoever may not be written to by now has no row.
recipients as (

    select
        customers.*,
        rates.currency as rated_currency,
        coalesce(rates.rate, 1) as exchange_rate
    from {{ ref('recs_customers') }} as customers
    left join {{ ref('int_exchange_rates') }} as rates
        on
            {{ currency_code('customers.currency') }} = rates.currency
            and {{ as_of() }} >= rates.valid_from
            and {{ as_of() }} < rates.valid_until
    where customers.email_eligible

),

stocks as (

    select
        product_id,
        stock
    from {{ ref('product_features') }}
    where as_of = {{ as_of_date() }}

),

final as (

    select
        {{ written_columns('email_recommendations', 'chosen') }},
        recipients.locale,
        products.currency,
        recipients.timezone,
        cast(null as {{ dbt.type_string() }}) as run_id,
        products.product_name as title,
        products.image_url,
        products.price,
        products.list_price,
        products.price_kind,
        products.price_from,
        coalesce(recipients.rated_currency, products.currency) as shown_currency,
        recipients.exchange_rate,
        {{ round_money(
            "case when products.price_kind = 'varies' then products.price_from else products.price end / recipients.exchange_rate",
            'coalesce(recipients.rated_currency, products.currency)'
        ) }} as shown_price,
        {{ round_to('products.price - products.cost', 6) }} as margin,
        stocks.stock,
        products.category,
        products.brand,
        cast(null as {{ instant_type() }}) as suppression_checked_at
    from chosen
    inner join recipients on chosen.customer_id = recipients.customer_id
    left join products on chosen.product_id = products.product_id
    left join stocks on chosen.product_id = stocks.product_id

)

select
    {{ declared_columns('email_recommendations') }}
from final
order by campaign, as_of, customer_id, slot
{%- endmacro %}
