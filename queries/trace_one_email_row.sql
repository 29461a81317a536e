-- Why did these products get into one customer's email, from the candidates to the slot?
-- One row per slot, its columns in the order of events: the recommenders whose lists hold the product (and
-- its rank there), the families of features that raised the ranker's score (and how much of the rise is
-- theirs), the features that moved it most (+ up, - down, in log-odds), the probability of a purchase, the
-- reason and what it rests on, the business rules that the product passed in the order applied, the slot.
-- No candidates, shares and features are shown in a week in which the campaign's query could not be learnt.
-- Replace customer and campaign in the first lines; here: the first customer, and the weekly email.
with asked as (

    select
        max(as_of) as as_of,
        min(customer_id) as customer_id,
        'weekly_email' as campaign
    from recs.email_recommendations
    where campaign = 'weekly_email' and as_of = (select max(as_of) from recs.email_recommendations)

),

rules as (

    select string_agg(outcomes.rule, ' > ' order by outcomes.step) as names
    from recs.rule_outcomes as outcomes
    inner join asked on outcomes.as_of = asked.as_of and outcomes.campaign = asked.campaign

)

select
    email.as_of,
    email.customer_id,
    email.product_id,
    email.title,
    array_to_string(
        [list.source || ' #' || list.rank for list in traces.sources], ', '
    ) as candidate_sources,
    array_to_string(
        [printf('%s %.0f %%', family.family, 100 * family.share) for family in traces.families if family.share > 0],
        ', '
    ) as families,
    array_to_string(
        [printf('%s %+.2f', feature.feature, feature.contribution) for feature in traces.features], ', '
    ) as features,
    email.p_purchase,
    email.reason_text,
    email.reason_family,
    because.product_name as because_product_name,
    email.because_at,
    email.support as rule_support,
    email.confidence as rule_confidence,
    rules.names as rules_passed,
    email.slot_type,
    email.fallback_level,
    email.slot
from recs.email_recommendations as email
inner join asked
    on email.as_of = asked.as_of and email.customer_id = asked.customer_id and email.campaign = asked.campaign
cross join rules
left join recs.campaign_traces as traces
    on
        email.campaign = traces.campaign
        and email.as_of = traces.as_of
        and email.customer_id = traces.customer_id
        and email.product_id = traces.product_id
left join recs.products as because on email.because_product_id = because.product_id
order by email.slot;
