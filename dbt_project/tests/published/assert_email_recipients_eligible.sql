{{ config(meta={'dagster': {'ref': {'name': 'email_recommendations'}}}) }}
-- Nobody gets an email who opted out, or of whom nothing is known.
select
    email.customer_id,
    customers.consent_state
from (
    select * from {{ ref('email_recommendations') }}
    union all
    select * from {{ ref('email_holdout') }}
) as email
left join {{ ref('recs_customers') }} as customers on email.customer_id = customers.customer_id
where customers.email_eligible is distinct from true
