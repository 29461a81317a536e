-- A table, as stg_products.
{{ config(materialized='table') }}

with accepted as (

    select * from {{ ref('base_merchants') }} where reject_reason is null

),

final as (

    select
        merchant_id,
        coalesce(nullif({{ plain_text('name') }}, ''), merchant_id) as name,
        {{ stated('country') }} as country
    from accepted

)

select * from final
