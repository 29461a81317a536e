with chosen as (

    select * from {{ source('model', 'email_selection') }} where as_of = {{ as_of_date() }}

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
        recipients.locale,
        recipients.timezone,
        chosen.product_id,
        products.product_name,
        products.category,
        products.brand,
        products.price,
        products.list_price,
        products.price_kind,
        products.price_from,
        products.currency,
        stocks.stock,
        products.url,
        products.image_url,
        chosen.score,
        chosen.p_purchase,
        chosen.window_days,
        chosen.source,
        chosen.slot_type,
        chosen.fallback_level,
        chosen.repeat,
        chosen.reason_code,
        chosen.reason_text,
        chosen.reason_family,
        chosen.because_product_id,
        chosen.because_at,
        chosen.support,
        chosen.confidence
    from chosen
    inner join recipients on chosen.customer_id = recipients.customer_id
    left join products on chosen.product_id = products.product_id
    left join stocks on chosen.product_id = stocks.product_id

)

select * from final
order by campaign, as_of, customer_id, slot
