{{ config(meta={'dagster': {'ref': {'name': 'recommendation_traces'}}}) }}
-- The contributions explain the whole score, and the positive ones share it out completely.
with sums as (
    {% for traces in [ref('recommendation_traces'), ref('campaign_traces')] %}
    select
        customer_id,
        product_id,
        ranker_score,
        base_score + {{ sum_of_field('families', 'contribution') }} as explained,
        {{ sum_of_field('families', 'share') }} as shares
    from {{ traces }}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
)

select *
from sums
where
    not coalesce(abs(explained - ranker_score) <= 1e-6, false)
    or not (shares = 0 or abs(shares - 1) <= 1e-6)
