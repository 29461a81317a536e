"""What counts as an interaction: one product in one order, of a customer from whom models may learn, or of a guest."""

# $as_of: the week. As the models see it (int_interactions_anchored), and with guests, whose customer_id is null.
PURCHASES = """
    select customer_id, product_id, order_id, occurred_at from marts.interactions
    where event_type = 'purchase' and known_from < $as_of and (voided_at is null or voided_at >= $as_of)
"""
