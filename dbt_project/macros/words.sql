{#
  Text compared with lists of words: without regard to case, accents and what stands between the words.
  A `*` stands for any letters: 'gift card*' is in 'GIFT-CARDS, 20 EUR', '*gebuhr' in 'Versandgebühr'.
  The phrases themselves are written without accents.
#}

{# Letters and digits of the text, in lower case and without accents, one blank between the words. #}
{% macro folded(expression) -%}
    {{ return(adapter.dispatch('folded', 'recs')(expression)) }}
{%- endmacro %}

{% macro duckdb__folded(expression) -%}
    trim(regexp_replace(lower(strip_accents({{ expression }})), '[^\p{L}\p{N}]+', ' ', 'g'))
{%- endmacro %}

{# A regular expression of the phrases, for `folded` text; none where there are no phrases. #}
{% macro phrases_pattern(phrases) -%}
    {%- set patterns = [] -%}
    {%- for phrase in phrases -%}
        {%- set words = modules.re.findall('\\*?[^\\W_]+\\*?', phrase | lower) -%}
        {%- if words -%}
            {%- do patterns.append(words | join(' ') | replace('*', '[^ ]*')) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return('(' ~ patterns | join('|') ~ ')' if patterns else none) }}
{%- endmacro %}

{# The folded text holds one of the phrases, as whole words. #}
{% macro holds_phrase(folded, phrases) -%}
    {%- set pattern = phrases_pattern(phrases) -%}
    {{ return(adapter.dispatch('matches', 'recs')("' ' || " ~ folded ~ " || ' '", '.* ' ~ pattern ~ ' .*') if pattern else 'false') }}
{%- endmacro %}

{# The folded text is one of the phrases, or several of them, and nothing else. #}
{% macro is_phrase(folded, phrases) -%}
    {%- set pattern = phrases_pattern(phrases) -%}
    {{ return(adapter.dispatch('matches', 'recs')(folded, pattern ~ '( ' ~ pattern ~ ')*') if pattern else 'false') }}
{%- endmacro %}

{% macro duckdb__matches(expression, pattern) -%}
    coalesce(regexp_full_match({{ expression }}, '{{ pattern }}'), false)
{%- endmacro %}

{# How an id is made: letters, digits and the marks between them; '85123A' is '9a', 'gift_20' is 'a_9'. #}
{% macro id_shape(expression) -%}
    {{ return(adapter.dispatch('id_shape', 'recs')(expression)) }}
{%- endmacro %}

{% macro duckdb__id_shape(expression) -%}
    regexp_replace(regexp_replace({{ expression }}, '\p{L}+', 'a', 'g'), '\p{N}+', '9', 'g')
{%- endmacro %}

{# Texts as SQL literals, with commas between them; null where there are none, which nothing equals. #}
{% macro sql_texts(texts, fold=false) -%}
    {%- for text in texts -%}
        {{ lower_case(sql_text(text)) if fold else sql_text(text) }}{{ ', ' if not loop.last }}
    {%- else -%}
        null
    {%- endfor -%}
{%- endmacro %}
