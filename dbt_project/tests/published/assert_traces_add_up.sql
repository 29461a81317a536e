{{ config(meta={'dagster': {'ref': {'name': 'recommendation_traces'}}}) }}
-- The contributions explain the whole score, and the positive ones share it out completely.
{%- set tables = {'recommendation_traces': ref('recommendation_traces'), 'campaign_traces': ref('campaign_traces')} %}
{%- set rows = {'recommendation_traces': "'email'", 'campaign_traces': 'campaign'} %}
with traces as (
    {% for name, relation in tables.items() %}
    select
        {{ rows[name] }} as list,
        customer_id,
        product_id,
        ranker_score,
        base_score,
        families
    from {{ relation }}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

moved as (

    {{ list_elements('traces', 'families', 'family', 'place') }}

),

sums as (

    select
        list,
        customer_id,
        product_id,
        sum(family.contribution) as contributions,
        sum(family.share) as shares
    from moved
    group by list, customer_id, product_id

)

select
    traces.list,
    traces.customer_id,
    traces.product_id
from traces
left join sums
    on
        traces.list = sums.list
        and traces.customer_id = sums.customer_id
        and traces.product_id = sums.product_id
where
    not coalesce(abs(traces.base_score + coalesce(sums.contributions, 0) - traces.ranker_score) <= 1e-6, false)
    or not (coalesce(sums.shares, 0) = 0 or abs(sums.shares - 1) <= 1e-6)
