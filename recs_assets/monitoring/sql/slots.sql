-- Per campaign: filled slots by type, and customers with nothing.
with filled as (

    select campaign, slot_type, count(*) as slots, count(distinct customer_id) as customers
    from model.email_selection
    group by campaign, slot_type

)

select campaign, slot_type, slots / sum(slots) over (partition by campaign) as share, sum(slots) over (partition by campaign)::bigint as slots
from filled
order by campaign, slot_type
