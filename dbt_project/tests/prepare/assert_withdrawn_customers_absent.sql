{{ config(meta={'dagster': {'ref': {'name': 'customers'}}}) }}
-- Erased customers are nowhere; customers that objected are in nothing that is learned from.
with consents as (

    select * from {{ ref('int_consents_resolved') }}

),

present as (

    select
        'customers' as found_in,
        customer_id
    from {{ ref('customers') }}
    union
    select
        'order_lines' as found_in,
        customer_id
    from {{ ref('order_lines') }}
    union
    select
        'baskets' as found_in,
        customer_id
    from {{ ref('baskets') }}
    union
    select
        'interactions' as found_in,
        customer_id
    from {{ ref('interactions') }}
    union
    select
        'customer_features' as found_in,
        customer_id
    from {{ ref('customer_features') }}
    union
    select
        'customer_product_features' as found_in,
        customer_id
    from {{ ref('customer_product_features') }}

)

select
    present.found_in,
    present.customer_id,
    consents.consent_state
from present
inner join consents on present.customer_id = consents.customer_id
where
    consents.consent_state = 'erased'
    or (
        consents.consent_state = 'objected'
        and present.found_in in ('interactions', 'customer_features', 'customer_product_features')
    )
