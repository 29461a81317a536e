with weekly as (
    select product_id, date_trunc('week', ordered_at)::date as day,
        max((amount + discount) / quantity) as list_price
    from marts.order_lines
    join intermediate.int_product_prices_anchored as prices using (product_id)
    where ordered_at < $anchor and learned_from and as_of = $anchor
      and price_kind is distinct from 'varies'
    group by all
),
beside as (
    select product_id, day, list_price,
        lag(list_price) over (partition by product_id order by day) as before
    from weekly
)
select product_id, day from beside where list_price < 0.95 * before
union
select product_id, start_at::date from staging.stg_promotions
where kind = 'price' and announced_at < $anchor and start_at < $anchor
order by all
