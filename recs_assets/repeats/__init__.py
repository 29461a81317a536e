"""When a customer buys a product again."""
