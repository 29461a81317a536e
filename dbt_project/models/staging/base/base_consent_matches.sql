-- Whom a spelling means: the exact id; the id in another case; an address, which means every account
-- that has it; the id in another spelling; the id without its prefix or with one too many. The first
-- of these that fits any known customer decides, and except for addresses it must fit exactly one:
-- of two a guess would unsubscribe a stranger. One row per spelling and customer; a spelling that
-- means nobody has one row, without a customer.
--
-- Each step looks only at what the steps before it left open, in most shops nothing: spelling out
-- every id of a million customers takes longer than all the rest.
with customers as (

    select distinct
        customer_id,
        email
    from {{ ref('base_customers') }}
    where
        (reject_reason is null or reject_reason = 'duplicate_row')
        and (joined_at is null or joined_at < {{ consents_until() }})

),

spellings as (

    select spelling
    from {{ ref('base_consent_changes') }}
    where spelling is not null
    group by spelling

),

by_id as (

    select distinct
        spellings.spelling,
        customers.customer_id,
        'id' as matched_by
    from customers
    inner join spellings on customers.customer_id = spellings.spelling

),

open_after_id as (

    select
        spellings.spelling,
        {{ lower_case('spellings.spelling') }} as lowered,
        {{ withdrawal_address('spellings.spelling') }} as address
    from spellings
    left join by_id on spellings.spelling = by_id.spelling
    where by_id.spelling is null

),

by_case as (

    select distinct
        open_after_id.spelling,
        customers.customer_id,
        'case' as matched_by
    from customers
    inner join open_after_id on {{ lower_case('customers.customer_id') }} = open_after_id.lowered

),

addressed as (

    select
        open_after_id.spelling,
        open_after_id.address
    from open_after_id
    left join by_case on open_after_id.spelling = by_case.spelling
    where
        by_case.spelling is null
        and position('@' in open_after_id.address) > 0
        and {{ address_kind('open_after_id.address') }} = 'usable'

),

by_address as (

    select distinct
        addressed.spelling,
        customers.customer_id,
        'address' as matched_by
    from customers
    inner join addressed on {{ address_key('customers.email') }} = addressed.address

),

respelled as (

    select
        open_after_id.spelling,
        open_after_id.lowered,
        {{ plain_id('open_after_id.spelling') }} as plain
    from open_after_id
    left join by_case on open_after_id.spelling = by_case.spelling
    where by_case.spelling is null and position('@' in open_after_id.spelling) = 0

),

by_plain as (

    select distinct
        respelled.spelling,
        customers.customer_id,
        'spelling' as matched_by
    from customers
    inner join respelled on {{ plain_id('customers.customer_id') }} = respelled.plain
    where respelled.plain <> ''

),

open_after_plain as (

    select
        respelled.spelling,
        respelled.lowered,
        {{ id_number('respelled.plain') }} as number,
        {{ id_letters('respelled.plain') }} as letters,
        {{ id_head('respelled.spelling') }} as head,
        {{ id_tail('respelled.spelling') }} as tail
    from respelled
    left join by_plain on respelled.spelling = by_plain.spelling
    where by_plain.spelling is null

),

-- Letters before the number that several customers have: an id of that form is what it says.
forms as (

    select open_after_plain.letters
    from customers
    inner join (select distinct letters from open_after_plain where number <> '') as open_after_plain
        on {{ id_letters(plain_id('customers.customer_id')) }} = open_after_plain.letters
    where {{ id_number(plain_id('customers.customer_id')) }} <> ''
    group by open_after_plain.letters
    having count(distinct customers.customer_id) > 1

),

numbered as (

    select
        open_after_plain.spelling,
        customers.customer_id,
        open_after_plain.letters as theirs,
        {{ id_letters(plain_id('customers.customer_id')) }} as ours
    from customers
    inner join open_after_plain
        on {{ id_number(plain_id('customers.customer_id')) }} = open_after_plain.number
    left join forms on open_after_plain.letters = forms.letters
    where open_after_plain.number <> '' and forms.letters is null

),

by_number as (

    select distinct
        spelling,
        customer_id,
        'spelling' as matched_by
    from numbered
    where
        theirs = ''
        or ours = ''
        or left(theirs, length(ours)) = ours
        or left(ours, length(theirs)) = theirs
        or right(theirs, length(ours)) = ours
        or theirs in {{ words_before_ids() }}
        or ours in {{ words_before_ids() }}

),

open_after_number as (

    select open_after_plain.*
    from open_after_plain
    left join by_number on open_after_plain.spelling = by_number.spelling
    where by_number.spelling is null

),

-- Customers' ids with something before them that the spelling lacks ...
shortened as (

    select
        open_after_number.spelling,
        customers.customer_id,
        {{ id_head('customers.customer_id') }} as head
    from customers
    inner join open_after_number on {{ id_tail('customers.customer_id') }} = open_after_number.lowered

),

heads as (

    select shortened.head
    from customers
    inner join (select distinct head from shortened) as shortened
        on {{ id_head('customers.customer_id') }} = shortened.head
    group by shortened.head
    having count(distinct customers.customer_id) > 1

),

by_part as (

    select
        shortened.spelling,
        shortened.customer_id,
        'spelling' as matched_by
    from shortened
    left join heads on shortened.head = heads.head
    where heads.head is not null or {{ squeezed('shortened.head') }} in {{ words_before_ids() }}
    union
    -- ... and the other way round: letters and a number are an id, whatever stands before them.
    select
        open_after_number.spelling,
        customers.customer_id,
        'spelling' as matched_by
    from customers
    inner join open_after_number on {{ lower_case('customers.customer_id') }} = open_after_number.tail
    where
        {{ squeezed('open_after_number.head') }} in {{ words_before_ids() }}
        or (
            {{ id_number(plain_id('customers.customer_id')) }} <> ''
            and {{ id_letters(plain_id('customers.customer_id')) }} <> ''
        )

),

hits as (

    select * from by_id
    union all
    select * from by_case
    union all
    select * from by_address
    union all
    select * from by_plain
    union all
    select * from by_number
    union all
    select * from by_part

),

counted as (

    select
        *,
        count(*) over (partition by spelling) as customers
    from hits

),

final as (

    select distinct
        spellings.spelling,
        case when counted.matched_by = 'address' or counted.customers = 1 then counted.customer_id end
            as customer_id,
        case
            when counted.matched_by is null then 'nothing'
            when counted.matched_by <> 'address' and counted.customers > 1 then 'several'
            else counted.matched_by
        end as matched_by
    from spellings
    left join counted on spellings.spelling = counted.spelling

)

select * from final
