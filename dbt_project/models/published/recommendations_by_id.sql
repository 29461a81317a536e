-- A view: the ids, and nothing else, would be as large as the lists. In an email a rank is a slot.
{%- set nothing = 'cast(null as ' ~ dbt.type_string() ~ ')' %}
{%- set beside = {'customer_id': nothing, 'beside_product_id': 'product_id', 'product_id': 'neighbour_id'} %}
{%- set lists = [
    ('email_recommendations', {'campaign': 'campaign', 'rank': 'slot'}),
    ('customer_recommendations', {}),
    ('buy_it_again', {}),
    ('frequently_bought_together', beside),
    ('similar_products', beside),
    ('nightly_recommendations', {'list': 'list'}),
] %}
with final as (
    {% for table, differs in lists %}
    select
        recommendation_id,
        {{ differs.get('list', "'" ~ table ~ "'") }} as list,
        as_of,
        {{ differs.get('campaign', nothing) }} as campaign,
        {{ differs.get('customer_id', 'customer_id') }} as customer_id,
        {{ differs.get('beside_product_id', nothing) }} as beside_product_id,
        {{ differs.get('product_id', 'product_id') }} as product_id,
        {{ differs.get('rank', 'rank') }} as rank,
        score,
        reason_text
    from {{ ref(table) }}
    where recommendation_id is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from final
