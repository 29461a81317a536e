{#
  What quarantine says about each raw table: its key, the column that dates a row, the column
  that names the person it is about, and the columns shown to a reader. `email` is left out.
  Written by `python -m recs_assets.sources.describe`.
#}
{% macro raw_tables() -%}
    {{ return([
        {'name': 'customers', 'key': ['customer_id'],
            'event_at': 'joined_at', 'person': true,
            'columns': ['customer_id', 'joined_at', 'email_eligible', 'country', 'locale', 'currency', 'timezone', 'segment']},
        {'name': 'products', 'key': ['product_id'],
            'event_at': none, 'person': false,
            'columns': ['product_id', 'name', 'start_at', 'end_at', 'parent_id', 'brand', 'category', 'vertical', 'price', 'cost', 'url', 'image_url', 'description', 'attributes', 'merchant_id']},
        {'name': 'orders', 'key': ['order_id'],
            'event_at': 'changed_at', 'person': true,
            'columns': ['order_id', 'customer_id', 'ordered_at', 'status', 'currency', 'updated_at']},
        {'name': 'order_items', 'key': ['order_id', 'line_id'],
            'event_at': 'seen_at', 'person': true,
            'columns': ['order_id', 'line_id', 'product_id', 'quantity', 'amount', 'discount']},
        {'name': 'reviews', 'key': ['review_id'],
            'event_at': 'reviewed_at', 'person': true,
            'columns': ['review_id', 'customer_id', 'product_id', 'rating', 'reviewed_at', 'title', 'body']},
        {'name': 'browsing_events', 'key': ['event_id'],
            'event_at': 'occurred_at', 'person': true,
            'columns': ['event_id', 'customer_id', 'product_id', 'event_type', 'occurred_at', 'duration_seconds', 'referrer', 'device', 'session_id', 'visitor_id']},
        {'name': 'searches', 'key': ['search_id'],
            'event_at': 'searched_at', 'person': true,
            'columns': ['search_id', 'customer_id', 'query', 'searched_at']},
        {'name': 'preferences', 'key': ['customer_id', 'question', 'facet', 'answer', 'answered_at'],
            'event_at': 'answered_at', 'person': true,
            'columns': ['customer_id', 'question', 'facet', 'answer', 'answered_at']},
        {'name': 'inventory', 'key': ['product_id', 'counted_at'],
            'event_at': 'counted_at', 'person': false,
            'columns': ['product_id', 'counted_at', 'stock']},
        {'name': 'returns', 'key': ['return_id'],
            'event_at': 'returned_at', 'person': true,
            'columns': ['return_id', 'order_id', 'product_id', 'quantity', 'returned_at', 'reason']},
        {'name': 'merchants', 'key': ['merchant_id'],
            'event_at': none, 'person': false,
            'columns': ['merchant_id', 'name', 'country']},
        {'name': 'exchange_rates', 'key': ['currency', 'valid_from'],
            'event_at': 'valid_from', 'person': false,
            'columns': ['currency', 'valid_from', 'rate']},
        {'name': 'promotions', 'key': ['promotion_id'],
            'event_at': 'announced_at', 'person': false,
            'columns': ['promotion_id', 'product_id', 'kind', 'announced_at', 'start_at', 'end_at', 'reach']},
        {'name': 'campaign_events', 'key': ['event_id'],
            'event_at': 'occurred_at', 'person': true,
            'columns': ['event_id', 'campaign', 'customer_id', 'product_id', 'event_type', 'occurred_at', 'arm', 'recommendation_id', 'session_id', 'visitor_id', 'placement', 'position', 'experiment']},
        {'name': 'consents', 'key': ['customer_id', 'state', 'effective_at'],
            'event_at': 'effective_at', 'person': true,
            'columns': ['customer_id', 'state', 'effective_at']},
    ]) }}
{%- endmacro %}

{# The files that a raw table was landed from, as landing left them in its comment; null where it did not. #}
{% macro landed_from(table) -%}
    {{ return(adapter.dispatch('landed_from', 'recs')(table)) }}
{%- endmacro %}

{% macro duckdb__landed_from(table) -%}
    (
        select max(comment) from (
            select database_name, schema_name, table_name, comment from duckdb_tables()
            union all
            select database_name, schema_name, view_name, comment from duckdb_views()
        )
        where database_name = current_database() and schema_name = 'raw' and table_name = '{{ table }}'
    )
{%- endmacro %}
