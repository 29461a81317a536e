-- What does the discovery share cost, and what does drawing a slot of it cost? Purchases of the test's window that lists with it
-- had less than lists without it (below 0: it gave purchases up), and how often a slot of each kind was bought. An interval that
-- holds 0 proves nothing. drawn: slots of the newest week that were drawn by lot (docs/exploration.md). clicked: share of the
-- slots of all kept weeks that were clicked, as the shop reports it.
with tags as (

    select *
    from recs.rule_price_tags
    where as_of = (select max(as_of) from recs.rule_price_tags) and rule in ('discovery', 'exploration')

),

bought as (

    select
        campaign,
        max(case when item = 'discovery' then value end) as discovery_bought,
        max(case when item = 'personal' then value end) as personal_bought
    from recs.campaign_tests
    where as_of = (select max(as_of) from recs.campaign_tests) and model = 'list' and metric = 'precision'
    group by campaign

),

clicked as (

    select
        campaign,
        sum(case when value = 'discovery' then clicks end)
        / sum(case when value = 'discovery' then recommendations end) as discovery_clicked,
        sum(case when value = 'personal' then clicks end)
        / sum(case when value = 'personal' then recommendations end) as personal_clicked
    from recs.recommendation_results
    where channel = 'email' and dimension = 'slot_type'
    group by campaign

),

slots as (

    select
        campaign,
        count(*) as slots,
        count(case when slot_type = 'discovery' then 1 end) as discovery,
        count(case when propensity < 1 then 1 end) as drawn
    from recs.email_recommendations
    where as_of = (select max(as_of) from recs.email_recommendations)
    group by campaign

)

select
    tags.campaign,
    tags.rule,
    slots.slots,
    slots.discovery,
    slots.drawn,
    tags.customers_changed,
    tags.purchases,
    tags.purchases_gained,
    round(tags.purchases_low, 1) as purchases_low,
    round(tags.purchases_high, 1) as purchases_high,
    round(bought.personal_bought, 4) as personal_bought,
    round(bought.discovery_bought, 4) as discovery_bought,
    round(clicked.personal_clicked, 4) as personal_clicked,
    round(clicked.discovery_clicked, 4) as discovery_clicked
from tags
left join slots on tags.campaign = slots.campaign
left join bought on tags.campaign = bought.campaign
left join clicked on tags.campaign = clicked.campaign
order by tags.campaign, tags.step;
