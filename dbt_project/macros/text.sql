{# Text, and expressions that differ between databases: `spark.sql` has what the dispatched ones are on Spark. #}

{# An identifier without surrounding blanks; an empty one is no identifier. #}
{% macro clean_text(column) -%}
    nullif({{ trim_blanks(column) }}, '')
{%- endmacro %}

{# Without the blanks around it, of whatever width: a spreadsheet pads with those that do not break a line, too. #}
{% macro trim_blanks(expression) -%}
    {{ return(adapter.dispatch('trim_blanks', 'recs')(expression)) }}
{%- endmacro %}

{% macro duckdb__trim_blanks(expression) -%}
    trim({{ expression }})
{%- endmacro %}

{# In lower case, letter by letter. #}
{% macro lower_case(expression) -%}
    {{ return(adapter.dispatch('lower_case', 'recs')(expression)) }}
{%- endmacro %}

{% macro duckdb__lower_case(expression) -%}
    lower({{ expression }})
{%- endmacro %}

{# A text as an SQL literal. #}
{% macro sql_text(value) -%}
    {{ return(adapter.dispatch('sql_text', 'recs')(value)) }}
{%- endmacro %}

{% macro duckdb__sql_text(value) -%}
    '{{ value | replace("'", "''") }}'
{%- endmacro %}

{# Values as SQL literals. #}
{% macro quoted_list(values) -%}
    {%- for value in values %}{{ sql_text(value) }}{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{# Texts of a group, one after the other. #}
{% macro joined_text(expression, separator, order) -%}
    {{ return(adapter.dispatch('joined_text', 'recs')(expression, separator, order)) }}
{%- endmacro %}

{% macro duckdb__joined_text(expression, separator, order) -%}
    string_agg({{ expression }}, '{{ separator }}' order by {{ order }})
{%- endmacro %}

{# Who ordered; null for a guest, whether the shop leaves the id out, writes a word for no value or one of its `guest_ids`. #}
{% macro customer_or_guest(column) -%}
    {%- if var('guest_ids') -%}
    case
        when {{ lower_case(clean_text(column)) }} not in ({{ sql_texts(var('guest_ids') | map('trim'), fold=true) }})
            then {{ stated(clean_text(column)) }}
    end
    {%- else -%}
    {{ stated(clean_text(column)) }}
    {%- endif -%}
{%- endmacro %}

{# A code compared without regard to case, blanks and hyphens: 'Add to cart' is add_to_cart. #}
{% macro clean_code(column) -%}
    {{ return(adapter.dispatch('clean_code', 'recs')(column)) }}
{%- endmacro %}

{% macro duckdb__clean_code(column) -%}
    {{ recs.with_underscores(recs.duckdb__lower_case("nullif(" ~ recs.duckdb__trim_blanks(column) ~ ", '')")) }}
{%- endmacro %}

{% macro with_underscores(expression) -%}
    replace(replace({{ expression }}, ' ', '_'), '-', '_')
{%- endmacro %}

{# Words that exports write where there is no value. #}
{% macro no_value_words() -%}
    {%- set words = [
        'null', '(null)', '[null]', '<null>', "\\n", 'nil', 'none', '(none)', 'nan', '-nan', '<na>', 'n/a',
        'n.a.', '(n/a)', '#n/a', '#na', '#null!', '#ref!', '#value!', '#name?', '#div/0!', 'undefined',
        '[object object]', 'unknown', '(unknown)', 'not available', 'not applicable', 'not set', '(not set)', '(blank)',
        'tbd', '?', '-', '--', '---', '–', '—', '.', '...', '…', '_', '/', '*', '[]', '{}', '""', "n\\a", 'n/d',
        'n.v.t.', 'nvt', 'not specified', 'unspecified', 'keine angabe', 'nicht angegeben', 'non disponible',
        'k.a.', 'k. a.', 'unbekannt', 'inconnu', 'desconocido', 'onbekend', 'sconosciuto',
    ] -%}
    ({{ quoted_list(words) }})
{%- endmacro %}

{# A text without what stands for no value: a brand is never called NULL. Not for ids and names of people. #}
{% macro stated(expression) -%}
    case when {{ lower_case(expression) }} not in {{ no_value_words() }} then nullif({{ expression }}, '') end
{%- endmacro %}

{# Text as people read it: no HTML, no entities, no invisible characters, single blanks (recs_assets/plain_text.py). #}
{% macro plain_text(column) -%}
    {{ return(adapter.dispatch('plain_text', 'recs')(column)) }}
{%- endmacro %}

{# Python sees only what can hold such a thing: most texts are plain ASCII. #}
{% macro duckdb__plain_text(column) -%}
    case
        when regexp_matches({{ column }}, '[<&]|[^ -~]|  ') then plain_text({{ column }})
        else {{ column }}
    end
{%- endmacro %}

{# Of the entities of a page only this one has a place in a url, and it is none there: a=1&copy=2 holds no ©. #}
{% macro unescaped_url(column) -%}
    replace({{ column }}, '&amp;', '&')
{%- endmacro %}

{# Number of a row in the order of its file; only straight over a raw table, which landing fills in that order. #}
{% macro file_row() -%}
    {{ return(adapter.dispatch('file_row', 'recs')()) }}
{%- endmacro %}

{% macro duckdb__file_row() -%}
    row_number() over ()
{%- endmacro %}

{% macro has_nul(column) -%}
    {{ return(adapter.dispatch('has_nul', 'recs')(column)) }}
{%- endmacro %}

{% macro duckdb__has_nul(column) -%}
    contains({{ column }}, chr(0))
{%- endmacro %}

{% macro is_finite(column) -%}
    {{ return(adapter.dispatch('is_finite', 'recs')(column)) }}
{%- endmacro %}

{% macro duckdb__is_finite(column) -%}
    isfinite({{ column }})
{%- endmacro %}

{# One JSON object of the named columns. #}
{% macro row_json(columns) -%}
    {{ return(adapter.dispatch('row_json', 'recs')(columns)) }}
{%- endmacro %}

{% macro duckdb__row_json(columns) -%}
    cast(to_json({
        {%- for column in columns %}'{{ column }}': {{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    }) as varchar)
{%- endmacro %}

{# What is no blank is spelled out: which characters \s means differs between engines. #}
{% macro email_pattern() -%}
    '[^ \t\n\f\r"@,;:<>\\]+@[^ \t\n\f\r"@,;:<>\\]+\.[A-Za-z]{2,}'
{%- endmacro %}

{# Free text (a review, a search) may hold an address; it must not leave the build file. #}
{% macro without_emails(expression) -%}
    {{ return(adapter.dispatch('without_emails', 'recs')(expression)) }}
{%- endmacro %}

{% macro duckdb__without_emails(expression) -%}
    regexp_replace({{ expression }}, {{ email_pattern() }}, '[email]', 'g')
{%- endmacro %}

{% macro holds_email(expression) -%}
    {{ return(adapter.dispatch('holds_email', 'recs')(expression)) }}
{%- endmacro %}

{% macro duckdb__holds_email(expression) -%}
    regexp_matches({{ expression }}, {{ email_pattern() }})
{%- endmacro %}

{# Elements of a list column with their position from 1. #}
{% macro list_elements(relation, list_column, element, position) -%}
    {{ return(adapter.dispatch('list_elements', 'recs')(relation, list_column, element, position)) }}
{%- endmacro %}

{% macro duckdb__list_elements(relation, list_column, element, position) -%}
    select
        *,
        unnest({{ list_column }}) as {{ element }},
        generate_subscripts({{ list_column }}, 1) as {{ position }}
    from {{ relation }}
{%- endmacro %}

{# Stops the statement with a sentence; null where there is nothing to say. #}
{% macro fail_with(message) -%}
    {{ return(adapter.dispatch('fail_with', 'recs')(message)) }}
{%- endmacro %}

{% macro duckdb__fail_with(message) -%}
    case when {{ message }} is not null then error({{ message }}) end
{%- endmacro %}
