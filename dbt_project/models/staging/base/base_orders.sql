with source as (

    select
        {{ clean_text('order_id') }} as order_id,
        {{ customer_or_guest('customer_id') }} as customer_id,
        ordered_at,
        {{ clean_code('status') }} as status,
        {{ currency_code('currency') }} as currency,
        updated_at,
        greatest(ordered_at, coalesce(updated_at, ordered_at)) as changed_at,
        {{ file_row() }} as file_row
    from {{ source('raw', 'orders') }}

),

states as (

    {{ order_states() }}

),

customers as (

    select customer_id, joined_at from {{ ref('base_customers') }} where reject_reason is null

),

judged as (

    select
        source.*,
        coalesce(states.counts_as, 'unknown') as counts_as,
        case
            {{ when_id_is_bad(['source.order_id'], optional=['source.customer_id']) }}
            {{ when_orphan(
                'orphan_customer', 'customers.customer_id', 'customers.joined_at', 'source.ordered_at',
                pointer='source.customer_id',
            ) }}
            {{ when_date_is_bad('source.ordered_at') }}
            when source.status is null then 'missing_value'
        end as failed_check
    from source
    left join customers on source.customer_id = customers.customer_id
    left join states on {{ state_key('source.status') }} = states.state

),

history as (

    -- What became of an order: its rows by their time; of one moment the last row of the file.
    select
        order_id,
        changed_at,
        status,
        counts_as,
        row_number() over (partition by order_id, changed_at order by file_row desc) as place
    from judged
    where failed_check is null and {{ is_known('changed_at') }}

),

changed as (

    -- Exported again because something became of them: a history, and no slip of the export.
    select order_id
    from history
    group by order_id
    having count(distinct status) > 1 or count(distinct changed_at) > 1

),

bought as (

    select
        order_id,
        max(changed_at) as last_bought_at
    from history
    where place = 1 and counts_as = 'purchase'
    group by order_id

),

outcomes as (

    select
        history.order_id,
        {{ latest('history.status', 'history.changed_at') }} as status,
        {{ latest('history.counts_as', 'history.changed_at') }} as counts_as,
        min(case when history.changed_at > bought.last_bought_at then history.changed_at end) as undone_at
    from history
    left join bought on history.order_id = bought.order_id
    where history.place = 1
    group by history.order_id

),

deduplicated as (

    {{ with_duplicates_rejected(
        'judged',
        key=['order_id'],
        columns=['file_row desc'],
        event_at='changed_at',
    ) }}

),

final as (

    -- Who ordered when is the first row's, how it ended the last one's. An order all of whose rows were
    -- written after as_of has the state of the first: no row says what it was before.
    select
        deduplicated.order_id,
        deduplicated.customer_id,
        deduplicated.ordered_at,
        case
            when deduplicated.reject_reason is null then coalesce(outcomes.status, deduplicated.status)
            else deduplicated.status
        end as status,
        deduplicated.currency,
        deduplicated.updated_at,
        deduplicated.changed_at,
        coalesce(outcomes.counts_as, deduplicated.counts_as) as counts_as,
        outcomes.undone_at,
        case
            when
                deduplicated.reject_reason = 'duplicate_row'
                and changed.order_id is not null
                and {{ is_known('deduplicated.changed_at') }}
                then 'superseded'
            else deduplicated.reject_reason
        end as reject_reason
    from deduplicated
    left join outcomes on deduplicated.order_id = outcomes.order_id
    left join changed on deduplicated.order_id = changed.order_id

)

select * from final
