with customers as (

    select * from {{ ref('stg_customers') }}

),

consents as (

    select * from {{ ref('int_consents_resolved') }}

),

not_learned_from as (

    select * from {{ ref('int_customers_not_learned_from') }}

),

orders as (

    select
        customer_id,
        min(ordered_at) as first_order_at,
        max(ordered_at) as last_order_at,
        count(*) as order_count
    from {{ ref('baskets') }}
    where units > 0
    group by customer_id

),

visits as (

    select
        customer_id,
        occurred_at,
        {{ lower_case("regexp_extract(referrer, '^(?:[A-Za-z]+://)?(?:www[.])?([^/?#]+)', 1)") }} as referrer,
        row_number() over (partition by customer_id order by occurred_at, event_id) as place
    from {{ ref('int_browsing_events_attributed') }}
    where referrer is not null and customer_id is not null and known_until is null

),

final as (

    select
        customers.customer_id,
        customers.joined_at,
        customers.email_eligible
        and coalesce(consents.consent_state, 'subscribed') = 'subscribed' as email_eligible,
        coalesce(consents.consent_state, 'subscribed') as consent_state,
        customers.country,
        customers.locale,
        customers.currency,
        customers.timezone,
        customers.segment,
        orders.first_order_at,
        orders.last_order_at,
        coalesce(orders.order_count, 0) as order_count,
        visits.referrer as first_referrer,
        visits.occurred_at as first_referred_at,
        not_learned_from.customer_id is null as learned_from,
        not_learned_from.reason as not_learned_from_reason,
        not_learned_from.signs as wholesale_signs,
        customers.customer_ids
    from customers
    left join consents on customers.customer_id = consents.customer_id
    left join not_learned_from on customers.customer_id = not_learned_from.customer_id
    left join orders on customers.customer_id = orders.customer_id
    left join visits on customers.customer_id = visits.customer_id and visits.place = 1
    where coalesce(consents.consent_state, 'subscribed') <> 'erased'

)

select * from final
order by customer_id
