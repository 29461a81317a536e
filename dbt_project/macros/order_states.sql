{# A state compared without regard to case, accents, blanks, marks and WooCommerce's prefix: 'wc-on-hold' is onhold. #}
{% macro state_key(state) -%}
    replace(regexp_replace({{ folded(state) }}, '^wc ', ''), ' ', '')
{%- endmacro %}

{#
  CTE body: state (as `state_key` writes it) and what an order in it counts as, purchase or
  not_a_purchase. The shop's own words (`order_statuses` of source.toml) win over the lists; where two
  of its spellings disagree, the order is no purchase.
#}
{% macro order_states() -%}
    {%- set words = [] -%}
    {%- for counts_as, states in {'purchase': var('purchase_states'), 'not_a_purchase': var('not_a_purchase')}.items() -%}
        {%- for state in states -%}
            {%- do words.append((state, counts_as, 0)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for state, counts_as in var('order_statuses').items() -%}
        {%- do words.append((state, counts_as, 1)) -%}
    {%- endfor -%}
    select
        state,
        coalesce(min(case when is_shops = 1 then counts_as end), min(counts_as)) as counts_as
    from (
        select
            {{ state_key('word') }} as state,
            counts_as,
            is_shops
        from (
            values
            {%- for word, counts_as, is_shops in words %}
            ({{ sql_text(word) }}, '{{ counts_as }}', {{ is_shops }}){{ ',' if not loop.last }}
            {%- endfor %}
        ) as words (word, counts_as, is_shops)
    ) as states
    group by state
{%- endmacro %}
