-- Each line once: a click before what was only seen, then the last touch.
create or replace temp table won as
with judged as (

    select
        touches.*,
        bought.product_id,
        bought.product_id = touches.product as same_product
    from touches
    inner join bought on touches.order_id = bought.order_id and touches.line_id = bought.line_id

)

select
    judged.* exclude (product_id),
    lines.customer_id,
    lines.product_id,
    lines.ordered_at,
    lines.net_amount,
    lines.amount - lines.net_amount as returned_amount,
    lines.net_amount - goods.cost * lines.net_quantity as margin
from judged
inner join marts.order_lines as lines on judged.order_id = lines.order_id and judged.line_id = lines.line_id
left join goods on lines.product_id = goods.product_id
qualify row_number() over (
    partition by judged.order_id, judged.line_id
    order by
        judged.touch <> 'clicked',
        judged.touched_at desc,
        judged.event_id,
        judged.same_product desc,
        judged.slot,
        judged.recommendation_id
) = 1;

select
    order_id,
    line_id,
    customer_id,
    product_id,
    ordered_at,
    net_amount,
    round(margin, 6) as margin,
    round(returned_amount, 6) as returned_amount,
    touch,
    touched_at,
    event_id,
    recommendation_id,
    if(channel = 'email', campaign, null) as campaign,
    if(channel = 'page', campaign, null) as placement,
    list,
    as_of,
    slot,
    slot_type,
    reason as reason_code,
    source,
    segment,
    arm,
    same_product
from won
order by order_id, line_id;
