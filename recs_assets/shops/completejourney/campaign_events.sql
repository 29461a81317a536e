-- A campaign goes to each of its households on its first day. A redeemed coupon is a purchase
-- that the campaign brought about (all 2,102 fall within their campaign); its product stays
-- null because one coupon is good for many products. Redemptions have a day and no hour.
select
    concat('sent-', campaign_id, '-', household_id) as event_id,
    concat('campaign-', campaign_id) as campaign,
    household_id::varchar as customer_id,
    'sent' as event_type,
    start_date as occurred_at
from files.campaigns
inner join files.campaign_descriptions using (campaign_id)
union all
select
    concat_ws('-', 'redeemed', campaign_id, household_id, coupon_upc, strftime(redemption_date, '%Y%m%d')) as event_id,
    concat('campaign-', campaign_id) as campaign,
    household_id::varchar as customer_id,
    'purchased' as event_type,
    redemption_date as occurred_at
from files.coupon_redemptions
