{# Every model of schema recs; tests over all of them iterate here (a test compares the folder). #}
{% macro published_models() -%}
    {{ return([
        'assignments',
        'association_rules',
        'attributions',
        'backtest',
        'buy_it_again',
        'campaign_customers',
        'campaign_events',
        'campaign_outcomes',
        'campaign_predictions',
        'campaign_tests',
        'campaign_traces',
        'customer_embeddings',
        'customer_identities',
        'customer_matches',
        'customer_recommendations',
        'customer_segments',
        'customer_values',
        'data_audit',
        'email_holdout',
        'email_recommendations',
        'experiment_results',
        'experiment_segments',
        'experiment_weeks',
        'experiments',
        'follow_ups',
        'forecasts',
        'frequently_bought_together',
        'gates',
        'goal_frontier',
        'model_decisions',
        'model_metrics',
        'monitor',
        'monitor_distributions',
        'nightly_recommendations',
        'not_products',
        'order_states',
        'product_embeddings',
        'quarantine',
        'questionnaire',
        'recall_waterfall',
        'recommendation_results',
        'recommendation_traces',
        'recommendations_by_id',
        'recommended_revenue',
        'recs_baskets',
        'recs_customers',
        'recs_interactions',
        'recs_order_lines',
        'recs_products',
        'rule_outcomes',
        'rule_price_tags',
        'shadow_recommendations',
        'shadow_results',
        'similar_products',
        'table_gains',
        'value_methods',
    ]) }}
{%- endmacro %}

{# Declared columns of a published model that have one of the types. #}
{% macro published_columns(model_name, types) -%}
    {%- set names = [] -%}
    {%- if execute -%}
        {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ model_name] -%}
        {%- for column in node.columns.values() if column.data_type in types -%}
            {%- do names.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}
