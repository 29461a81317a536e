{# The email table's rows of one side of the experiment: the columns of recs_assets.exports.email.LONG, in order.
   run_id and suppression_checked_at are the export's to fill. #}
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

    select * from {{ ref('recs_customers') }} where email_eligible

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
        chosen.campaign,
        chosen.as_of,
        chosen.customer_id,
        chosen.slot,
        chosen.email_hash,
        recipients.locale,
        products.currency,
        recipients.timezone,
        chosen.send_at,
        chosen.expires_at,
        cast(null as {{ dbt.type_string() }}) as run_id,
        chosen.model_version,
        chosen.arm,
        chosen.recommendation_id,
        chosen.product_id,
        products.product_name as title,
        chosen.url,
        products.image_url,
        products.price,
        products.list_price,
        products.price_kind,
        products.price_from,
        round(products.price - products.cost, 6) as margin,
        stocks.stock,
        products.category,
        products.brand,
        chosen.score,
        chosen.p_purchase,
        chosen.window_days,
        chosen.source,
        chosen.slot_type,
        chosen.fallback_level,
        chosen.sent_before,
        chosen.bought_before,
        chosen.reason_code,
        chosen.reason_text,
        chosen.reason_family,
        chosen.because_product_id,
        chosen.because_at,
        chosen.support,
        chosen.confidence,
        cast(null as timestamp with time zone) as suppression_checked_at
    from chosen
    inner join recipients on chosen.customer_id = recipients.customer_id
    left join products on chosen.product_id = products.product_id
    left join stocks on chosen.product_id = stocks.product_id

)

select * from final
order by campaign, as_of, customer_id, slot
{%- endmacro %}
