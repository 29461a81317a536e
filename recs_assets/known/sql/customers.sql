create temp table known_customers as
select customer_id, email_eligible, learned_from, country, locale, segment, joined_at,
       case when first_referred_at < $anchor then first_referrer end as referrer,
       (row_number() over (order by customer_id) - 1)::integer as code
from marts.customers where joined_at is null or joined_at < $anchor
