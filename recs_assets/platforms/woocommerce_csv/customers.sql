-- Orders do not say who wants email, so nobody is written to. Once you know it, say it here: join the list of your
-- newsletter by its address, or deliver it as consents.
select
    md5(nullif(lower(trim("Email (Billing)")), '')) as customer_id,
    min("Order Date") as joined_at,
    min(lower(trim("Email (Billing)"))) as email,
    false as email_eligible,
    arg_max("Country Code (Billing)", ("Order Date", "Order Number")) as country,
    arg_max("Phone (Billing)", ("Order Date", "Order Number")) as phone,
    arg_max("First Name (Billing)", ("Order Date", "Order Number")) as first_name,
    arg_max("Last Name (Billing)", ("Order Date", "Order Number")) as last_name,
    arg_max("Postcode (Billing)", ("Order Date", "Order Number")) as postcode
from files.orders
where nullif(trim("Email (Billing)"), '') is not null
group by 1
order by customer_id
