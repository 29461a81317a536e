-- What of a customer's searches of the last 28 days name, brand and category of a candidate hold. Made of the candidates in
-- hand: every customer with every product that has one of their words would be many more.
create temp table searched_now as
with searches as (

    select
        customers.code as customer,
        searches.search_id,
        date_diff('day', searches.searched_at::date, $anchor) as days,
        -- Letters and digits of any script.
        list_distinct(regexp_extract_all(lower(searches.query), '[\p{L}\p{N}]+')) as words
    from staging.stg_searches as searches
    join coded_customers as customers using (customer_id)
    where searches.searched_at < $anchor and searches.searched_at >= $anchor - interval 28 days

),

words as (

    select customer, search_id, days, len(words) as word_count, unnest(words) as word
    from searches

),

candidates as (

    select customer, product
    from incoming_candidates
    semi join searches using (customer)

),

texts as (

    select
        coded.code as product,
        unnest(list_distinct(
            regexp_extract_all(lower(concat_ws(' ', products.name, products.brand, products.category)), '[\p{L}\p{N}]+')
        )) as word
    from marts.products as products
    join coded_products as coded using (product_id)
    where coded.code in (select product from candidates)

),

found as (

    select customer, product, search_id, any_value(days) as days, count(*) / any_value(word_count) as share
    from candidates
    join texts using (product)
    join words using (customer, word)
    group by customer, product, search_id

)

select customer, product, max(share) as share, min(days) filter (share = 1) as days
from found
group by customer, product
