"""From every recommender's list to one ranked list per customer, and a reason per row.

`blend.blend` is hybrid v1. A learned ranker takes its place by being a function from
{recommender: list frame} to a frame with the columns `blend.RANKED`; reasons, rules, evaluation
and exports read only those.
"""
