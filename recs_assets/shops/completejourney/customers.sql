-- Every household that ever bought (2,469), not only the 801 with demographics. There are no
-- addresses and no opt-outs in the data, so everybody may be written to.
-- A household is known from its first purchase or its first mailing, whichever came first.
with purchases as (
    select household_id, min(timezone('UTC', transaction_timestamp)) as first_at
    from files.transactions
    group by household_id
),

mailings as (
    select campaigns.household_id, min(timezone('America/New_York', descriptions.start_date)) as first_at
    from files.campaigns as campaigns
    join files.campaign_descriptions as descriptions using (campaign_id)
    group by campaigns.household_id
),

households as (
    select purchases.household_id, least(purchases.first_at, mailings.first_at) as first_at
    from purchases
    left join mailings using (household_id)
)

select
    households.household_id::varchar as customer_id,
    households.first_at as joined_at,
    true as email_eligible,
    'US' as country,
    'en-US' as locale,
    'USD' as currency,
    -- The composition of the household: four values, present for all 801 and null for the rest.
    nullif(demographics.household_comp, 'NaN') as segment
from households
left join files.demographics as demographics using (household_id)
order by households.household_id
