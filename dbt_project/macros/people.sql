{#
  Rows of a relation, each with the person in place of the profile that the shop has it under
  (recs_assets/identity): the one place where profiles become people. The relation is called `profiles`.
#}
{% macro by_person(relation) -%}
    {{ return(adapter.dispatch('by_person', 'recs')(relation)) }}
{%- endmacro %}

{% macro duckdb__by_person(relation) -%}
    select profiles.* replace (coalesce(identities.customer_id, profiles.customer_id) as customer_id)
    from {{ relation }} as profiles
    left join {{ ref('base_customer_identities') }} as identities on profiles.customer_id = identities.profile_id
{%- endmacro %}

{# Of several values the first that is there, by the number of their place. #}
{% macro first_stated(value, place) -%}
    {{ return(adapter.dispatch('first_stated', 'recs')(value, place)) }}
{%- endmacro %}

{% macro duckdb__first_stated(value, place) -%}
    arg_min({{ value }}, {{ place }}) filter (where {{ value }} is not null)
{%- endmacro %}

{# All values as one list, by the number of their place. #}
{% macro list_values(value, place) -%}
    {{ return(adapter.dispatch('list_values', 'recs')(value, place)) }}
{%- endmacro %}

{% macro duckdb__list_values(value, place) -%}
    list({{ value }} order by {{ place }})
{%- endmacro %}

{# Condition on a row of stg_customers: one of these profiles is this person. #}
{% macro is_one_of(ids) -%}
    {{ return(adapter.dispatch('is_one_of', 'recs')(ids)) }}
{%- endmacro %}

{% macro duckdb__is_one_of(ids) -%}
    (customer_id in ({{ quoted_list(ids) }}) or coalesce(list_has_any(customer_ids, [{{ quoted_list(ids) }}]), false))
{%- endmacro %}
