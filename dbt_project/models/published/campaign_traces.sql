{% set columns = column_names(source('model', 'campaign_traces')) -%}
with traces as (

    select
        *,
        {{ trace_raised(columns) }} as raised
    from {{ source('model', 'campaign_traces') }}
    where as_of = {{ as_of_date() }}

),

final as (

    select
        campaign,
        as_of,
        customer_id,
        product_id,
        ranker_score,
        base_score,
        p_purchase,
        {{ trace_sources(columns) }} as sources,
        {{ trace_families(columns, 'raised') }} as families,
        {{ trace_features(5) }} as features
    from traces

)

select * from final
order by campaign, as_of, customer_id, product_id
