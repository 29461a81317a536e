-- How many withdrawals there are, how many of them match no customer, and the sentence about those.
-- No address and no name is quoted: an id is shown only where it has a digit and the look of an id.
with withdrawals as (

    select distinct
        source_table,
        spelling,
        state,
        effective_at,
        outcome,
        matched_by
    from {{ ref('stg_consent_changes') }}
    where outcome <> 'no_withdrawal' and state is distinct from 'subscribed'

),

unmatched as (

    select
        source_table,
        case
            when spelling is null then '1 without an id'
            when position('@' in spelling) > 0 then '2 by an address that no customer has'
            when matched_by = 'several' then '3 by an id that fits several customers'
            else '4 by an id that no customer has'
        end as kind,
        case
            when
                {{ matches_pattern('spelling', '^[A-Za-z0-9 ._:/#-]{1,40}$') }}
                and {{ matches_pattern('spelling', '[0-9]') }}
                then spelling
        end as shown
    from withdrawals
    where outcome = 'unmatched'

),

kinds as (

    select
        source_table,
        kind,
        count(*) as withdrawals,
        min(shown) as first_shown,
        nullif(max(shown), min(shown)) as last_shown
    from unmatched
    group by source_table, kind

),

tables as (

    select
        source_table,
        {{ joined_text(
            "withdrawals || substr(kind, 2) || coalesce(' (' || first_shown || coalesce(', ' || last_shown, '') || ')', '')",
            ', ', 'kind'
        ) }} as finding
    from kinds
    group by source_table

),

counts as (

    select
        count(*) as withdrawals,
        coalesce(sum(case when outcome = 'unmatched' then 1 end), 0) as unmatched,
        coalesce(sum(case when outcome = 'gone' then 1 end), 0) as gone
    from withdrawals

),

final as (

    select
        counts.withdrawals,
        cast(counts.unmatched as bigint) as unmatched,
        cast(counts.gone as bigint) as gone,
        cast({{ unmatched_allowed() }} as bigint) as allowed,
        'Withdrawals that match no customer: '
        || counts.unmatched
        || ', and '
        || {{ unmatched_allowed() }}
        || ' may. '
        || (
            select
                {{ joined_text(
                    "'Table ' || tables.source_table || ': ' || tables.finding", '; ', 'tables.source_table'
                ) }}
            from tables
        )
        || '. Whoever they are would be written to: correct the ids in the file, or raise '
        || 'unmatched_withdrawals in source.toml.' as sentence
    from counts

)

select * from final
