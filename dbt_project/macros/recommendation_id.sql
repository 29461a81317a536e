{#
  20 hexadecimal digits that stand for one published row: same parts, same id. The head of SHA-256 over the parts, each with
  its length before it, as recs_assets/delivery.py makes it for the rows of emails (a test compares).
#}
{% macro recommendation_id(parts) -%}
    {{ return(adapter.dispatch('recommendation_id', 'recs')(parts)) }}
{%- endmacro %}

{% macro duckdb__recommendation_id(parts) -%}
    left(sha256(
        {%- for part in parts %}
        unhex(printf('%08x', octet_length(encode(cast({{ part }} as varchar))))) || encode(cast({{ part }} as varchar))
        {{- ' ||' if not loop.last }}
        {%- endfor %}
    ), 20)
{%- endmacro %}
