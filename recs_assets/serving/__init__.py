"""What the shop's pages ask for while a customer waits: the published lists, filtered and blended now. No web here."""
