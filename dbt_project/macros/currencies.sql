{# The ISO 4217 code of a currency as orders name it: in any case, as a word or as a sign. A sign of several
   currencies is the shop's where that is one of them, else it stays a sign, which is no code. #}
{% macro currency_code(column) -%}
    {%- set words = {
        'EUR': ['€', 'EURO', 'EUROS'],
        'GBP': ['£', 'POUND', 'POUNDS', 'STERLING'],
        'USD': ['US$', 'US DOLLAR', 'US DOLLARS'],
        'CHF': ['SFR', 'SFR.', 'FR.'],
        'PLN': ['ZŁ'],
        'CZK': ['KČ'],
        'INR': ['₹'],
    } -%}
    {%- set signs = {
        '$': ['USD', 'AUD', 'CAD', 'HKD', 'MXN', 'NZD', 'SGD'],
        'KR': ['DKK', 'ISK', 'NOK', 'SEK'],
        'KR.': ['DKK', 'ISK', 'NOK', 'SEK'],
        '¥': ['CNY', 'JPY'],
    } -%}
    case upper({{ stated(clean_text(column)) }})
        {%- for code, spellings in words.items() %}
        {%- for spelling in spellings %}
        when '{{ spelling }}' then '{{ code }}'
        {%- endfor %}
        {%- endfor %}
        {%- for sign, codes in signs.items() if var('shop_currency') in codes %}
        when '{{ sign }}' then '{{ var("shop_currency") }}'
        {%- endfor %}
        else upper({{ stated(clean_text(column)) }})
    end
{%- endmacro %}

{# Three letters; a sign or a number is no code that a price may carry. #}
{% macro is_currency_code(expression) -%}
    {{ return(adapter.dispatch('matches', 'recs')(expression, '[A-Z]{3}')) }}
{%- endmacro %}

{# The money of an order is the shop's: it is in the shop's currency, or names none. Where no code is known,
   it is as long as all orders that say something say the same. #}
{% macro in_shop_currency(currency, shop) -%}
    case
        when {{ shop }}.currency is not null then coalesce({{ currency }}, {{ shop }}.currency) = {{ shop }}.currency
        else {{ shop }}.currencies_named <= 1
    end
{%- endmacro %}
