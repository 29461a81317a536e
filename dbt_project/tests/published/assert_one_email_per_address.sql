{{ config(meta={'dagster': {'ref': {'name': 'email_recommendations'}}}) }}
-- An address gets a campaign's email once, however many accounts it has.
select
    email.campaign,
    addresses.address_group,
    count(distinct email.customer_id) as accounts
from {{ ref('email_recommendations') }} as email
inner join {{ ref('int_customer_addresses') }} as addresses on email.customer_id = addresses.customer_id
where addresses.address_group is not null
group by email.campaign, addresses.address_group
having count(distinct email.customer_id) > 1
