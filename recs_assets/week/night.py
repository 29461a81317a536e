"""A day after a published week: what is known by then, listed with the week's fitted models."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np

from recs_assets.known.interactions import Known
from recs_assets.recommenders.artefacts import load_model, read_ids
from recs_assets.recommenders.base import Recommender
from recs_assets.schema import WarehouseError
from recs_assets.week.week import Week, make_recommender


class Night(Week):
    """What is known at a day, and the models of an earlier week, without a refit.

    Its build file holds the features of one anchor, the day itself. Nothing is fitted, tested or decided here: the
    ranker, its calibration and the choice of the model are the week's.

    Args:
        model_week: whose models list.
        day: after the week.

    Raises:
        WarehouseError: the day does not lie after the week.
    """

    def __init__(self, model_week: Week, day: date) -> None:
        if day <= model_week.as_of:
            raise WarehouseError(
                f"The day {day} does not lie after the published week {model_week.as_of}, whose models list: refresh a "
                "later one."
            )
        super().__init__(model_week.shop, model_week.warehouse, day)
        self._model_week = model_week
        self.build = model_week.warehouse.night_build(day)
        self._models: dict[str, Recommender] = {}
        self._attached: dict[str, Recommender] = {}

    @property
    def model_week(self) -> Week:
        return self._model_week

    @property
    def anchors(self) -> list[date]:
        return [self.as_of]

    @property
    def test_anchors(self) -> list[date]:
        return []

    def model_path(self, name: str) -> Path:
        return self.model_week.model_path(name)

    @cached_property
    def _ids(self) -> Known:
        """Of what the week's models were fitted on, the ids."""
        week = self.model_week
        return read_ids(week.ids_path("customer", week.as_of).parent, week.as_of, of_fit=True)

    @property
    def is_sampled(self) -> bool:
        return self.model_week.is_sampled

    @cached_property
    def _fit_known(self) -> Known:
        """What is known now of those whom the models were fitted on."""
        known = self.known()
        if not self.is_sampled:
            return known
        there = known.customers["customer_id"].isin(self._ids.customers["customer_id"])
        return known.take_customers(np.flatnonzero(there))

    def model(self, name: str) -> Recommender:
        """What the week's recommender learned, on what is known now."""
        carried = self.load_for_blocks(name)
        if not self.is_sampled:
            return carried
        if name not in self._attached:
            self._attached[name] = carried.attach(self.known())
        return self._attached[name]

    def load_for_blocks(self, name: str) -> Recommender:
        if name not in self._models:
            fitted = load_model(
                make_recommender(self.shop, name), self.model_path(name), self._ids, attached=False
            )
            unfitted = make_recommender(self.shop, name, self.parameters(name))
            if self.is_sampled:
                unfitted.ask_facts(self.known())
            self._models[name] = unfitted.carry_over(fitted, self._fit_known)
        return self._models[name]
