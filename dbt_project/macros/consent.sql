{#
  Who said no: how a withdrawal is read, and whom it means. The models that use these macros are
  views of the build file, and the last look before files are written runs the same views on the
  newest files (Warehouse.newest_consents). What differs then are three values, which that session sets.
#}

{# A value that a session may set; the week's own where it did not. #}
{% macro session_value(name, type, otherwise) -%}
    {{ return(adapter.dispatch('session_value', 'recs')(name, type, otherwise)) }}
{%- endmacro %}

{% macro duckdb__session_value(name, type, otherwise) -%}
    coalesce(cast(getvariable('{{ name }}') as {{ type }}), {{ otherwise }})
{%- endmacro %}

{# Changes before this moment count, and customers who joined before it. #}
{% macro consents_until() -%}
    {{ session_value('consents_until', 'timestamp', as_of()) }}
{%- endmacro %}

{# A change dated later than this cannot be right: a withdrawal counts all the same, a return does not. #}
{% macro newest_consent() -%}
    {{ session_value('newest_consent', 'timestamp', newest_plausible()) }}
{%- endmacro %}

{# How many withdrawals may match no customer before the run stops. #}
{% macro unmatched_allowed() -%}
    {{ session_value('unmatched_withdrawals', 'bigint', var('unmatched_withdrawals')) }}
{%- endmacro %}

{% macro consent_states() -%}
    ('unsubscribed', 'objected', 'erased', 'subscribed')
{%- endmacro %}

{# -- events that withdraw ------------------------------------------------------------------------ #}

{# A word as lower-case letters and digits without accents; anything else becomes `between`. #}
{% macro squeezed(expression, between='') -%}
    {{ return(adapter.dispatch('squeezed', 'recs')(expression, between)) }}
{%- endmacro %}

{% macro duckdb__squeezed(expression, between) -%}
    trim(regexp_replace(strip_accents(lower({{ expression }})), '[^\p{L}\p{N}]+', '{{ between }}', 'g'), '{{ between or " " }}')
{%- endmacro %}

{% macro matches_pattern(expression, pattern) -%}
    {{ return(adapter.dispatch('matches_pattern', 'recs')(expression, pattern)) }}
{%- endmacro %}

{% macro duckdb__matches_pattern(expression, pattern) -%}
    regexp_matches({{ expression }}, '{{ pattern }}')
{%- endmacro %}

{# The types of campaign events that are counted. #}
{% macro event_types() -%}
    (
        'sent', 'delivered', 'shown', 'opened', 'clicked', 'dismissed', 'added_to_cart', 'purchased', 'bounced', 'complained',
        'unsubscribed'
    )
{%- endmacro %}

{# The type of a campaign event as it is counted: mail services spell the same thing in many ways. #}
{% macro event_type_of(column) -%}
    {{ return(adapter.dispatch('event_type_of', 'recs')(column)) }}
{%- endmacro %}

{% macro duckdb__event_type_of(column) -%}
    case
        when {{ recs.duckdb__squeezed(column, '') }} in (
            'complained', 'complaint', 'complaints', 'complain', 'spam', 'spamreport', 'spamreported', 'spamcomplaint',
            'spamcomplained', 'reportedspam', 'reportspam', 'reportedasspam', 'markedasspam', 'markedspam',
            'markedemailasspam', 'abuse', 'abusereport', 'abusecomplaint', 'junk', 'markedasjunk', 'feedbackloop', 'fbl',
            'arf', 'arfreport'
        ) then 'complained'
        when {{ recs.duckdb__squeezed(column, '') }} in (
            'unsubscribed', 'unsubscribe', 'unsubscribes', 'unsub', 'unsubs', 'listunsubscribe', 'listunsubscribed',
            'groupunsubscribe', 'groupunsubscribed', 'globalunsubscribe', 'oneclickunsubscribe', 'manualunsubscribe',
            'manuallyunsubscribed', 'optout', 'optedout', 'optouts'
        ) then 'unsubscribed'
        when {{ recs.duckdb__squeezed(column, '') }} in (
            'bounced', 'bounce', 'hardbounce', 'hardbounced', 'hardbounces', 'bouncehard', 'bouncedhard', 'bouncepermanent',
            'permanentbounce', 'permanentlybounced', 'permanentfail', 'permanentfailure', 'permanentlyfailed', 'dropped', 'drop',
            'reject', 'rejected', 'undeliverable', 'invalidemail', 'invalidaddress', 'cleaned', 'unzustellbar'
        ) then 'bounced'
        when {{ recs.duckdb__squeezed(column, '') }} in ('shown', 'impression', 'impressions') then 'shown'
        when {{ recs.duckdb__squeezed(column, '') }} in ('addedtocart', 'addtocart') then 'added_to_cart'
        else {{ recs.duckdb__clean_code(column) }}
    end
{%- endmacro %}

{#
  'complained' or 'unsubscribed' where the event says no, null elsewhere. A type nobody declared
  counts where its words look like a complaint or a withdrawal, in the languages we know: silence
  towards somebody who meant something else does less harm than an email to somebody who said no.
#}
{% macro event_withdrawal(column) -%}
    {{ return(adapter.dispatch('event_withdrawal', 'recs')(column)) }}
{%- endmacro %}

{% macro duckdb__event_withdrawal(column) -%}
    case
        when {{ recs.duckdb__event_type_of(column) }} in ('complained', 'unsubscribed') then {{ recs.duckdb__event_type_of(column) }}
        when {{ recs.duckdb__event_type_of(column) }} in {{ event_types() }} then null
        when {{ recs.duckdb__matches_pattern(
            recs.duckdb__squeezed(column, '_'),
            '(^|_)(not|no|non|un)_?(spam|junk|complained|block(ed)?)(_|$)|spam_?(score|check|filter|test)|junk_?(score|filter)'
        ) }} then null
        when {{ recs.duckdb__matches_pattern(recs.duckdb__squeezed(column, '_'), [
            'complain', 'spam', 'abuse', 'junk', 'feedback_?loop', '(^|_)fbl(_|$)', 'plainte', 'beschwer', 'queja',
            'reclamo', 'reclamac', 'klacht', 'klag(en|te)', 'denunci', 'segnalaz', 'pourriel', 'indesirable', 'ongewenst', 'indesiderat',
            'no_deseado', 'unerwunscht', 'belastig', 'phish', 'harass', '(^|_)reported(_|$)', 'skarg', 'жалоб', 'спам', 'sikayet',
            '投诉', '投訴', '垃圾', '迷惑',
        ] | join('|')) }} then 'complained'
        when {{ recs.duckdb__matches_pattern(recs.duckdb__squeezed(column, '_'), [
            'unsub', '(^|_)uns?us?c', 'opt(ed|s|ing)?_?out', 'withdr', 'revo[ck]', 'widerruf', 'widerspr', 'abmeld', 'abgemeld', 'abbestell',
            'austrag', 'ausgetragen', 'desabon', 'desinscri', 'desuscri', 'desapunt', 'disiscri', 'cancell?a.*iscri', 'afmeld',
            'afgemeld', 'uitschr', 'uitgeschr', 'avregistr', 'avanmal', '(^|_)bajas?(_|$)', 'block(ed|list)', 'blacklist',
            '(^|_)block(_sender|_list|_user)?$', 'suppress', 'do_?not_?(e_?mail|mail|contact|send|disturb)', 'gesperrt', 'sperr',
            '(^|_)dn[cde](_|$)', '(^|_)stop(p?ed|_?all)?(_|$)', '(^|_)removed?$', 'remove_?me', 'removed?_from_?(the_)?(list|mail)',
            'cancel.*su[bs]s?cri', 'su[bs]s?cri.*(cancel|ended|delet|remov)', '(member|subscriber|contact|profile)_(remov|delet|left)',
            '(left|leave)_?(the_?)?list', 'list_?(left|leave)', 'erase', 'erasure', 'forget_?me', 'forgotten', 'delete_?me',
            '(gdpr|dsgvo|rgpd)_?(delet|eras|remov|forget|object|losch|opp)', 'deletion', '(account|profile|user|contact)_?delet',
            '(^|_)delete[ds]?$', 'geloscht', '(^|_)loschung', '(^|_)(ge)?kundig', 'objected', 'objection', 'right_to_object', 'opposition', 'no_?more_?(e_?)?mail', 'not_?interested', 'no_?consent', 'robinson',
            'never_?(e_?)?mail', 'framel?d', 'avslut', 'peruut', 'wypis', 'rezygn', 'odhlas', 'odjav', 'leirat', 'odstapi', 'отпис',
            'отказ', 'abonelikten', '退订', '退訂', '取消订阅', '取消訂閱', '配信停止', '解除',
        ] | join('|')) }} then 'unsubscribed'
    end
{%- endmacro %}

{# -- addresses ----------------------------------------------------------------------------------- #}

{#
  An address as it is compared: lower case, accents composed (a Mac writes u and a diaeresis), without blanks and quotes
  around it, a name before it or mailto:.
#}
{% macro address_key(column) -%}
    {{ return(adapter.dispatch('address_key', 'recs')(column)) }}
{%- endmacro %}

{% macro duckdb__address_key(column) -%}
    nullif(regexp_replace(
        regexp_replace(lower(nfc_normalize({{ column }})), '^.*<([^<>]*)>[^<>]*$', '\1', 's'),
        '^[\s\x{00A0}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{FEFF}"'']*(?:mailto:)?[\s\x{00A0}\x{200B}-\x{200F}\x{FEFF}]*'
        '|[\s\x{00A0}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{FEFF}"'']+$',
        '', 'g'
    ), '')
{%- endmacro %}

{#
  The address of a withdrawal: also without the marks of a list around it, and without what a mailto: link says of
  the subject. Not for the customers' own addresses, which are sent as they are.
#}
{% macro withdrawal_address(column) -%}
    {{ return(adapter.dispatch('withdrawal_address', 'recs')(column)) }}
{%- endmacro %}

{% macro duckdb__withdrawal_address(column) -%}
    {{ recs.duckdb__address_key(
        "regexp_replace(regexp_replace(" ~ column ~ ", '^([^?]*@[^?]*)[?].*$', '\\1', 's'), '^[\[(,;]+|[\]),;.]+$', '', 'g')"
    ) }}
{%- endmacro %}

{#
  What an `address_key` is good for: usable, none (no address, or a word that stands for none), test,
  unusable (nobody's, or no address by its form).
#}
{% macro address_kind(key) -%}
    {{ return(adapter.dispatch('address_kind', 'recs')(key)) }}
{%- endmacro %}

{% macro duckdb__address_kind(key) -%}
    {%- set local = recs.duckdb__squeezed("split_part(" ~ key ~ ", '@', 1)", '') -%}
    case
        when {{ key }} is null then 'none'
        when position('@' in {{ key }}) = 0 and {{ recs.duckdb__squeezed(key, '') }} in (
            '', 'na', 'nan', 'nil', 'none', 'null', 'no', 'not', 'x', 'xx', 'xxx', '0', 'unknown', 'unbekannt', 'guest', 'gast',
            'invite', 'nobody', 'noone', 'niemand', 'undefined', 'empty', 'blank', 'leer', 'keine', 'kein', 'ohne', 'missing',
            'anonymous', 'anonym', 'noemail', 'nomail', 'noaddress', 'keineemail', 'keinemail', 'notprovided', 'notavailable',
            'notapplicable', 'notgiven', 'tbd', 'aucun', 'inconnu', 'ninguno', 'desconocido', 'nessuno', 'geen', 'onbekend'
        ) then 'none'
        when
            {{ recs.duckdb__matches_pattern(local, '^(test|tester|testing|testuser|testaccount|testkonto|testkunde|testcustomer|testmail|testemail)[0-9]*$') }}
            or {{ recs.duckdb__matches_pattern(key, '@test([.]com)?$') }}
            then 'test'
        when
            not {{ recs.duckdb__matches_pattern(
                key,
                '^[^\s@"(),:;<>\[\]\\\\]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?[.])+(?:\p{L}{2,}|xn--[a-z0-9-]+)$'
            ) }}
            or {{ recs.duckdb__matches_pattern(key, '^[.]|[.]@|[.][.]') }}
            or length({{ key }}) > 254
            or {{ recs.duckdb__matches_pattern(key, '[@.](invalid|localhost|localdomain|local|lan|internal)$') }}
            or {{ recs.duckdb__matches_pattern(key, '^(name|your|yourname|you|me|no)@(your|my)?(domain|company|email|mail)[.](com|de)$') }}
            -- What forms are filled with: asdf@asdf.de.
            or {{ local }} = split_part(split_part({{ key }}, '@', 2), '.', 1) and {{ local }} in (
                'x', 'xx', 'xxx', 'a', 'aa', 'aaa', 'abc', 'asd', 'asdf', 'qwe', 'qwer', 'qwerty', 'no', 'na', 'nil', 'email', 'mail',
                'demo', 'example', '1', '12', '123', '1234', '12345'
            )
            or {{ recs.duckdb__matches_pattern(
                local,
                '^(guest|gast|invite|anonym(ous|i[sz]ed|isiert)?|deleted|erased|geloescht|dummy|fake|invalid|unknown|unbekannt'
                ~ '|noemail|nomail)[0-9]+$'
            ) }}
            or {{ recs.duckdb__matches_pattern(key, '@(none|null|nomail|noemail|no-mail|no-email|noreply|no-reply)[.]') }}
            or {{ recs.duckdb__matches_pattern(local, '^(noreply|donotreply|dontreply)') }}
            or {{ local }} in (
                'nobody', 'noone', 'none', 'null', 'noemail', 'nomail', 'noaddress', 'unknown', 'unbekannt', 'guest', 'gast',
                'anonymous', 'anonym', 'dummy', 'fake', 'invalid', 'undefined', 'placeholder', 'mailerdaemon',
                'postmaster', 'hostmaster', 'abuse', 'anonymized', 'anonymised', 'keine', 'keinemail', 'keineemail', 'niemand', 'notprovided', 'deleted', 'erased', 'geloescht'
            )
            then 'unusable'
        else 'usable'
    end
{%- endmacro %}

{# -- ids in other spellings ---------------------------------------------------------------------- #}

{#
  An id without what writing it down changes: case, blanks and signs beside letters, a trailing '.0',
  zeros before its number. 'C-034', 'c 34' and 'c34' are one; 'shop1-17' is not 'shop117'.
#}
{% macro plain_id(column) -%}
    {{ return(adapter.dispatch('plain_id', 'recs')(column)) }}
{%- endmacro %}

{% macro duckdb__plain_id(column) -%}
    regexp_replace(
        regexp_replace(
            regexp_replace(
                regexp_replace(lower(nfc_normalize(trim({{ column }}))), '(\d)[.]0+$', '\1'),
                '[^\p{L}\p{N}]+', '-', 'g'
            ),
            '^-|-$|(\p{L})-|-(\p{L})', '\1\2', 'g'
        ),
        '^(\p{L}*)0+(\d+)$', '\1\2'
    )
{%- endmacro %}

{# Of a plain id that is letters and then a number: the number, and the letters; else ''. #}
{% macro id_number(plain) -%}
    {{ return(adapter.dispatch('id_part', 'recs')(plain, 2)) }}
{%- endmacro %}

{% macro id_letters(plain) -%}
    {{ return(adapter.dispatch('id_part', 'recs')(plain, 1)) }}
{%- endmacro %}

{% macro duckdb__id_part(plain, part) -%}
    regexp_extract({{ plain }}, '^(\p{L}*)(\d+)$', {{ part }})
{%- endmacro %}

{# What stands after the first sign of an id and what before it, in lower case; '' without a sign. #}
{% macro id_tail(column) -%}
    {{ return(adapter.dispatch('id_split', 'recs')(column, 2)) }}
{%- endmacro %}

{% macro id_head(column) -%}
    {{ return(adapter.dispatch('id_split', 'recs')(column, 1)) }}
{%- endmacro %}

{% macro duckdb__id_split(column, part) -%}
    regexp_extract(lower(trim({{ column }})), '^([^-_:/.#| ]+)[-_:/.#| ]+(.+)$', {{ part }})
{%- endmacro %}

{# Words that any shop may write before an id. #}
{% macro words_before_ids() -%}
    (
        'customer', 'customers', 'cust', 'customerid', 'customernumber', 'customerno', 'custid', 'client', 'clientid', 'user',
        'userid', 'member', 'memberid', 'account', 'accountid', 'acct', 'contact', 'contactid', 'subscriber', 'profile',
        'shopper', 'buyer', 'person', 'people', 'id', 'no', 'nr', 'number', 'kunde', 'kundennummer', 'kundennr', 'kdnr', 'klant',
        'cliente', 'recipient'
    )
{%- endmacro %}
