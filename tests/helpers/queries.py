"""Parts that queries are made of."""

from __future__ import annotations

from datetime import date

AS_OF = date(2024, 3, 4)
EACH = "FOR EACH customers.customer_id"
RANK = f"PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK TOP 12\n{EACH}"
LINES = "PREDICT COUNT(order_lines.*"
