{#
  What the macros of this folder are on Spark (docs/scale.md). Text is compared and cleaned by DuckDB itself, in a function
  that the session has (recs_assets/engine/session.py): regular expressions, accents and blanks differ between engines, and
  a consent must not depend on which one reads it.
#}

{# `expression` is DuckDB's, over a text x; the value of x is Spark's. #}
{% macro in_duckdb(expression, value) -%}
    in_duckdb({{ spark_text(expression) }}, {{ value }})
{%- endmacro %}

{# A text as a literal: Spark reads backslashes in literals. #}
{% macro spark_text(text) -%}
    '{{ text | trim | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}

{# The blanks that DuckDB trims. Ids are trimmed in every row: a call of Python for each would be too many. #}
{% macro spark__trim_blanks(expression) -%}
    btrim({{ expression }}, '{{ " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000" }}')
{%- endmacro %}

{#
  Engines write two letters for İ, and look at what stands beside a Σ. What remains are letters that one of the engines is too
  old to know the lower case of (docs/scale.md).
#}
{% macro spark__lower_case(expression) -%}
    lower(translate({{ expression }}, 'İΣ', 'iσ'))
{%- endmacro %}

{% macro spark__clean_code(column) -%}
    {{ recs.with_underscores(lower_case(clean_text(column))) }}
{%- endmacro %}

{% macro spark__plain_text(column) -%}
    {{ recs.in_duckdb(recs.duckdb__plain_text('x'), column) }}
{%- endmacro %}

{% macro spark__folded(expression) -%}
    {{ recs.in_duckdb(recs.duckdb__folded('x'), expression) }}
{%- endmacro %}

{% macro spark__squeezed(expression, between) -%}
    {{ recs.in_duckdb(recs.duckdb__squeezed('x', between), expression) }}
{%- endmacro %}

{% macro spark__matches_pattern(expression, pattern) -%}
    ({{ recs.in_duckdb(recs.duckdb__matches_pattern('x', pattern), expression) }} = 'true')
{%- endmacro %}

{% macro spark__matches(expression, pattern) -%}
    coalesce({{ recs.in_duckdb(recs.duckdb__matches('x', pattern), expression) }} = 'true', false)
{%- endmacro %}

{% macro spark__id_shape(expression) -%}
    {{ recs.in_duckdb(recs.duckdb__id_shape('x'), expression) }}
{%- endmacro %}

{% macro spark__address_key(column) -%}
    {{ recs.in_duckdb(recs.duckdb__address_key('x'), column) }}
{%- endmacro %}

{% macro spark__address_kind(key) -%}
    {{ recs.in_duckdb(recs.duckdb__address_kind('x'), key) }}
{%- endmacro %}

{% macro spark__event_type_of(column) -%}
    {{ recs.in_duckdb(recs.duckdb__event_type_of('x'), column) }}
{%- endmacro %}

{% macro spark__event_withdrawal(column) -%}
    {{ recs.in_duckdb(recs.duckdb__event_withdrawal('x'), column) }}
{%- endmacro %}

{% macro spark__plain_id(column) -%}
    {{ recs.in_duckdb(recs.duckdb__plain_id('x'), column) }}
{%- endmacro %}

{% macro spark__id_part(plain, part) -%}
    {{ recs.in_duckdb(recs.duckdb__id_part('x', part), plain) }}
{%- endmacro %}

{% macro spark__id_split(column, part) -%}
    {{ recs.in_duckdb(recs.duckdb__id_split('x', part), column) }}
{%- endmacro %}

{% macro spark__without_emails(expression) -%}
    {{ recs.in_duckdb(recs.duckdb__without_emails('x'), expression) }}
{%- endmacro %}

{# Asked of every text that is published: a call of Python for each would be too many. #}
{% macro spark__holds_email(expression) -%}
    {{ expression }} rlike {{ recs.spark_text(email_pattern()[1:-1]) }}
{%- endmacro %}

{% macro spark__has_nul(column) -%}
    contains({{ column }}, char(0))
{%- endmacro %}

{% macro spark__withdrawal_address(column) -%}
    {{ recs.in_duckdb(recs.duckdb__withdrawal_address('x'), column) }}
{%- endmacro %}

{% macro spark__is_finite(column) -%}
    (not isnan({{ column }}) and abs({{ column }}) < cast('infinity' as double))
{%- endmacro %}

{# A whole row as DuckDB writes it: numbers and times look alike on both engines. #}
{% macro spark__row_json(columns) -%}
    {{ recs.in_duckdb('cast(to_json(x) as varchar)', recs.spark_struct(columns, columns)) }}
{%- endmacro %}

{% macro spark__recommendation_id(parts) -%}
    {%- set names, places = [], [] -%}
    {%- for part in parts -%}
        {%- do names.append('part_' ~ loop.index) -%}
        {%- do places.append('x.part_' ~ loop.index) -%}
    {%- endfor -%}
    {{ recs.in_duckdb(recs.duckdb__recommendation_id(places), recs.spark_struct(names, parts)) }}
{%- endmacro %}

{% macro spark_struct(names, expressions) -%}
    named_struct(
        {%- for name in names %}'{{ name }}', {{ expressions[loop.index0] }}{{ ', ' if not loop.last }}{% endfor -%}
    )
{%- endmacro %}

{# Landing writes the row's number beside the columns of the raw table: rows of Spark have no order. #}
{% macro spark__file_row() -%}
    file_row
{%- endmacro %}

{% macro spark__landed_from(table) -%}
    (select max(names) from {{ source('raw', table).schema }}.landed_from where source_table = '{{ table }}')
{%- endmacro %}

{% macro spark__list_elements(relation, list_column, element, position) -%}
    select
        listed.*,
        elements.{{ element }},
        elements.place + 1 as {{ position }}
    from {{ relation }} as listed
    lateral view posexplode({{ list_column }}) elements as place, {{ element }}
{%- endmacro %}

{% macro spark__fail_with(message) -%}
    case when {{ message }} is not null then raise_error({{ message }}) end
{%- endmacro %}

{% macro spark__by_person(relation) -%}
    select
        {%- for column in adapter.get_columns_in_relation(relation) if column.name != 'customer_id' %}
        profiles.{{ column.name }},
        {%- endfor %}
        coalesce(identities.customer_id, profiles.customer_id) as customer_id
    from {{ relation }} as profiles
    left join {{ ref('base_customer_identities') }} as identities on profiles.customer_id = identities.profile_id
{%- endmacro %}

{% macro spark__instant_type() -%}
    timestamp_ltz
{%- endmacro %}

{% macro spark__first_stated(value, place) -%}
    min_by({{ value }}, {{ place }}) filter (where {{ value }} is not null)
{%- endmacro %}

{% macro spark__list_values(value, place) -%}
    transform(array_sort(collect_list(named_struct('place', {{ place }}, 'value', {{ value }}))), entry -> entry.value)
{%- endmacro %}

{% macro spark__is_one_of(ids) -%}
    (customer_id in ({{ quoted_list(ids) }}) or coalesce(arrays_overlap(customer_ids, array({{ quoted_list(ids) }})), false))
{%- endmacro %}

{% macro spark__latest(value, at) -%}
    max_by({{ value }}, named_struct('at', {{ at }}, 'then_by', {{ value }})) filter (where {{ value }} is not null)
{%- endmacro %}

{# Spark rounds the decimal that a double is written as, DuckDB the double: they differ at ties. #}
{% macro spark__round_to(expression, decimals) -%}
    (round(({{ expression }}) * 1e{{ decimals }}) / 1e{{ decimals }})
{%- endmacro %}

{% macro spark__quantile(expression, share) -%}
    percentile_disc({{ share }}) within group (order by {{ expression }})
{%- endmacro %}

{% macro spark__joined_text(expression, separator, order) -%}
    listagg({{ expression }}, '{{ separator }}') within group (order by {{ order }})
{%- endmacro %}

{% macro spark__sorted_columns(columns, prefix, type, sign) -%}
    array_sort(filter(cast(array(
        {%- for column in columns if column.startswith(prefix) %}
        named_struct('value', {{ sign }}{{ adapter.quote(column) }}, 'name', '{{ column[prefix | length:] }}')
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    ) as array<struct<value: {{ type }}, name: string>>), entry -> entry.value <> 0))
{%- endmacro %}

{% macro spark__trace_sources(columns) -%}
    transform(
        {{ sorted_columns(columns, 'rank_', 'int') }},
        entry -> named_struct('source', entry.name, 'rank', entry.value)
    )
{%- endmacro %}

{% macro spark__trace_families(columns, raised) -%}
    transform({{ sorted_columns(columns, 'family_', 'double', sign='-') }}, moved -> named_struct(
        'family', moved.name,
        'contribution', -moved.value,
        'share', case when moved.value < 0 then -moved.value / {{ raised }} else cast(0 as double) end
    ))
{%- endmacro %}

{% macro spark__trace_features(most) -%}
    filter(array(
        {%- for place in range(1, most + 1) %}
        named_struct('feature', feature_{{ place }}, 'contribution', feature_contribution_{{ place }})
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    ), entry -> entry.feature is not null)
{%- endmacro %}

{# The last look before an export runs on the snapshot, which is DuckDB's on any engine. #}
{% macro spark__session_value(name, type, otherwise) -%}
    {{ otherwise }}
{%- endmacro %}

{% macro spark__sql_text(value) -%}
    {{ recs.spark_text(value) }}
{%- endmacro %}

{# dbt's own of these loses the time of the day. #}
{% macro spark__dateadd(datepart, interval, from_date_or_timestamp) -%}
    ({{ from_date_or_timestamp }} + interval '{{ interval }}' {{ datepart }})
{%- endmacro %}

{# DuckDB counts the boundaries between two times, Spark the whole units. #}
{% macro spark__datediff(first_date, second_date, datepart) -%}
    timestampdiff({{ datepart }}, date_trunc('{{ datepart }}', {{ first_date }}), date_trunc('{{ datepart }}', {{ second_date }}))
{%- endmacro %}

{#
  A table in one statement, as Parquet in its folder of the lake (recs_assets/engine/lake.py), from where the build file
  takes it. Comments are not written: only Delta and Iceberg keep them in a CREATE TABLE AS.
#}
{% materialization table, adapter='spark' %}
    {{ return(recs.write_to_lake(this, sql)) }}
{% endmaterialization %}

{# A table, too: a view of Spark's means nothing to DuckDB, and would be planned again in each of its readers. #}
{% materialization view, adapter='spark' %}
    {{ return(recs.write_to_lake(this, sql)) }}
{% endmaterialization %}

{% macro write_to_lake(relation, sql) -%}
    {%- set target_relation = relation.incorporate(type='table') -%}
    {%- set folder = env_var('RECS_DBT_LAKE') ~ '/made/' ~ model.config.schema ~ '.' ~ relation.identifier -%}
    {% call statement('drop') -%} drop table if exists {{ target_relation }} {%- endcall %}
    {% call statement('main') -%}
        create table {{ target_relation }} using parquet location {{ recs.spark_text(folder) }} as
        {%- set order = recs.file_order() %}
        {%- if order %}
        select * from (
            {{ sql }}
        )
        order by {% for name in order %}{{ adapter.quote(name) }}{{ ', ' if not loop.last }}{% endfor %}
        {%- else %}
        {{ sql }}
        {%- endif %}
    {%- endcall %}
    {{ return({'relations': [target_relation]}) }}
{%- endmacro %}

{#
  What the rows of a table are sorted by in its files: a block of customers then reads few of them. Published rows are sorted
  by whatever has an order, so that their files list them alike in every build.
#}
{% macro file_order() -%}
    {%- set first = ['as_of', 'customer_id'] | select('in', model.columns) | list -%}
    {%- if model.config.schema != 'recs' -%}
        {{ return(first if 'customer_id' in first else []) }}
    {%- endif -%}
    {%- set others = [] -%}
    {%- for column in model.columns.values() if column.name not in first -%}
        {%- set type = column.data_type | lower -%}
        {%- if '[' not in type and 'struct' not in type and 'map' not in type -%}
            {%- do others.append(column.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(first + others) }}
{%- endmacro %}
