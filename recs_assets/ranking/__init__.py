"""From every recommender's list to one ranked list per customer.

`blend.blend` weighs the lists by the settings of blend.yaml; `ranker.Ranker` learns which of their merged
candidates a customer will buy.
"""
