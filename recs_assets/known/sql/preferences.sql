-- Follows codes.sql. Nothing of who objected. What was answered last to each question counts, all answers of that
-- moment. A question that asked for categories and one that asked for brands are two, also under one number.
, answers as (
    select
        customers.code, preferences.facet, preferences.answer,
        rank() over (
            partition by customers.code, preferences.question, preferences.facet order by preferences.answered_at desc
        ) as place
    from staging.stg_preferences as preferences
    join customers using (customer_id)
    join marts.customers as people using (customer_id)
    where people.learned_from and preferences.answered_at < $anchor
)
select distinct code::integer as customer, facet, answer as value from answers where place = 1 order by all
