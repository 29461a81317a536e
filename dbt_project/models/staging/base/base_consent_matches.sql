-- Whom a spelling means: the exact id; the id in another case; an address, which means every account
-- that has it; the id in another spelling; the id without its prefix or with one too many. The first
-- of these that fits any known customer decides, and except for addresses it must fit exactly one:
-- of two a guess would unsubscribe a stranger. One row per spelling and customer; a spelling that
-- means nobody has one row, without a customer.
with customers as (

    select
        customer_id,
        {{ address_key('email') }} as address,
        {{ plain_id('customer_id') }} as plain,
        {{ id_head('customer_id') }} as head,
        {{ id_tail('customer_id') }} as tail
    from {{ ref('base_customers') }}
    where
        (reject_reason is null or reject_reason = 'duplicate_row')
        and (joined_at is null or joined_at < {{ consents_until() }})

),

spellings as (

    select
        spelling,
        {{ address_key('spelling') }} as address,
        {{ plain_id('spelling') }} as plain,
        {{ id_head('spelling') }} as head,
        {{ id_tail('spelling') }} as tail,
        position('@' in spelling) = 0 as may_be_respelled
    from {{ ref('base_consent_changes') }}
    where spelling is not null
    group by spelling

),

-- Letters before the number that several customers have: an id of that form is what it says.
forms as (

    select {{ id_letters('plain') }} as letters
    from customers
    where {{ id_number('plain') }} <> ''
    group by 1
    having count(distinct customer_id) > 1

),

heads as (

    select head
    from customers
    where head <> ''
    group by head
    having count(distinct customer_id) > 1

),

numbered as (

    select
        spellings.spelling,
        customers.customer_id,
        {{ id_letters('spellings.plain') }} as theirs,
        {{ id_letters('customers.plain') }} as ours
    from spellings
    inner join customers on {{ id_number('spellings.plain') }} = {{ id_number('customers.plain') }}
    left join forms on {{ id_letters('spellings.plain') }} = forms.letters
    where
        spellings.may_be_respelled
        and forms.letters is null
        and {{ id_number('spellings.plain') }} <> ''

),

hits as (

    select spellings.spelling, customers.customer_id, 1 as step
    from spellings
    inner join customers on spellings.spelling = customers.customer_id
    union
    select spellings.spelling, customers.customer_id, 2 as step
    from spellings
    inner join customers on lower(spellings.spelling) = lower(customers.customer_id)
    union
    select spellings.spelling, customers.customer_id, 3 as step
    from spellings
    inner join customers on spellings.address = customers.address
    where {{ address_kind('spellings.address') }} = 'usable'
    union
    select spellings.spelling, customers.customer_id, 4 as step
    from spellings
    inner join customers on spellings.plain = customers.plain
    where spellings.may_be_respelled and spellings.plain <> ''
    union
    select spelling, customer_id, 5 as step
    from numbered
    where
        theirs = ''
        or ours = ''
        or starts_with(theirs, ours)
        or starts_with(ours, theirs)
        or ends_with(theirs, ours)
        or theirs in {{ words_before_ids() }}
        or ours in {{ words_before_ids() }}
    union
    select spellings.spelling, customers.customer_id, 6 as step
    from spellings
    inner join customers on lower(spellings.spelling) = customers.tail
    left join heads on customers.head = heads.head
    where
        spellings.may_be_respelled
        and (heads.head is not null or {{ squeezed('customers.head') }} in {{ words_before_ids() }})
    union
    select spellings.spelling, customers.customer_id, 6 as step
    from spellings
    inner join customers on spellings.tail = lower(customers.customer_id)
    where
        spellings.may_be_respelled
        and (
            {{ squeezed('spellings.head') }} in {{ words_before_ids() }}
            -- Letters and a number are an id of their own, whatever stands before them.
            or ({{ id_number('customers.plain') }} <> '' and {{ id_letters('customers.plain') }} <> '')
        )

),

first_steps as (

    select
        spelling,
        min(step) as step
    from hits
    group by spelling

),

decided as (

    select
        hits.spelling,
        hits.customer_id,
        hits.step,
        count(*) over (partition by hits.spelling) as customers
    from hits
    inner join first_steps on hits.spelling = first_steps.spelling and hits.step = first_steps.step

),

final as (

    select distinct
        spellings.spelling,
        case when decided.step = 3 or decided.customers = 1 then decided.customer_id end as customer_id,
        case
            when decided.step is null then 'nothing'
            when decided.step <> 3 and decided.customers > 1 then 'several'
            when decided.step = 1 then 'id'
            when decided.step = 2 then 'case'
            when decided.step = 3 then 'address'
            else 'spelling'
        end as matched_by
    from spellings
    left join decided on spellings.spelling = decided.spelling

)

select * from final
