-- Who takes part in which experiment, and since when they met what is compared.
select assigned.experiment, assigned.campaign, assigned.customer_id, assigned.arm, assigned.assigned_at,
    min(events.occurred_at) filter (
        where events.event_type in ('sent', 'delivered', 'shown', 'opened', 'clicked')
    ) as exposed_at
from assigned
join marts.customers as customers on assigned.customer_id = customers.customer_id
left join intermediate.int_campaign_events_attributed as events
    on events.customer_id = assigned.customer_id and events.campaign = assigned.campaign
    and events.known_until is null and events.occurred_at >= assigned.assigned_at and events.occurred_at < $week
group by all order by all
