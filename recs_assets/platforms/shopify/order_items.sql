-- One line per product of an order. Money is what was paid, with tax: the goods of an order come to `Subtotal`, which
-- has all discounts in it, and to the taxes where they come on top; what was paid back is taken off in proportion,
-- because the export does not say for which line.
with heads as (
    select
        "Name" as name,
        -- An order in two of the files stands there twice, with each of its lines.
        count(*) as copies,
        max("Subtotal") as subtotal,
        max("Taxes") as taxes,
        -- Where prices come without taxes, the total has them once more; a tip may be in it, too, so the cent decides.
        max("Taxes") > 0 and max(abs("Total" - "Subtotal" - "Shipping" - "Taxes")) < 0.015 as is_with_taxes,
        max("Taxes") > 0 and max(abs("Total" - "Subtotal" - "Shipping")) < 0.015 as is_without_taxes,
        case
            when max("Cancelled at") is not null or max("Total") = 0 or max("Refunded Amount") >= max("Total") then 0
            else coalesce(max("Refunded Amount") / max("Total"), 0)
        end as refunded_share
    from files.orders
    where
        "Financial Status" is not null
        and not coalesce(contains(lower("Payment Method"), 'bogus'), false)
        and not coalesce(regexp_matches(lower("Tags"), '(^|,)\s*test\s*(,|$)'), false)
    group by "Name"
),

-- What the total leaves open is as in most orders.
judged as (
    select
        *,
        is_with_taxes
        or (
            not is_without_taxes
            and sum(is_with_taxes::int) over () > sum(is_without_taxes::int) over ()
        ) as is_tax_on_top
    from heads
),

-- What the catalogue calls what a line names: a line has an SKU, or the title and the variant.
variants as (
    select
        "Handle" as handle,
        nullif(ltrim(trim("Variant SKU"), ''''), '') as sku,
        max("Title") over (partition by "Handle")
        || case when "Option1 Value" <> 'Default Title' then ' - ' else '' end
        || concat_ws(' / ', nullif("Option1 Value", 'Default Title'), "Option2 Value", "Option3 Value") as line_name
    from files.products
    where "Handle" is not null
    qualify "Variant Price" is not null
),

by_sku as (
    select sku, min(handle) as handle from variants where sku is not null group by sku having count(distinct handle) = 1
),

by_name as (
    select line_name, min(handle) as handle from variants group by line_name having count(distinct handle) = 1
),

lines as (
    select
        judged.*,
        coalesce(
            by_sku.handle,
            by_name.handle,
            'sku-' || nullif(ltrim(trim(source."Lineitem sku"), ''''), ''),
            'name-' || md5(source."Lineitem name")
        ) as product_id,
        source."Lineitem quantity" / judged.copies as quantity,
        (source."Lineitem quantity" * source."Lineitem price" - coalesce(source."Lineitem discount", 0))
        / judged.copies as gross,
        source."Lineitem quantity" / judged.copies
        * greatest(source."Lineitem price", source."Lineitem compare at price") as list_amount,
        coalesce(source."Lineitem taxable", true) as is_taxable
    from files.orders as source
    inner join judged on source."Name" = judged.name
    left join by_sku on nullif(ltrim(trim(source."Lineitem sku"), ''''), '') = by_sku.sku
    left join by_name on source."Lineitem name" = by_name.line_name
    where source."Lineitem name" is not null
),

discounted as (
    select
        *,
        gross * coalesce(subtotal / nullif(sum(gross) over (partition by name), 0), 1) as net
    from lines
),

taxed as (
    select
        *,
        case
            when not is_tax_on_top then 0
            when sum(net * is_taxable::int) over (partition by name) > 0
                then taxes * net * is_taxable::int / sum(net * is_taxable::int) over (partition by name)
            else 0
        end as tax
    from discounted
)

select
    name as order_id,
    product_id as line_id,
    product_id,
    sum(quantity) as quantity,
    round(sum((net + tax) * (1 - refunded_share)), 4) as amount,
    round(greatest(sum(list_amount - net), 0) * (1 - max(refunded_share)), 4) as discount
from taxed
group by name, product_id
order by name, product_id
