"""The views of a week that an engine made, while its files are away."""

from __future__ import annotations

from fastapi.testclient import TestClient

from helpers.lake import move_to_lake
from helpers.views import make_app
from helpers.warehouse import FIRST, build, publish
from recs_assets.store.warehouse import Warehouse

PLACES = ("/ui", "/ui?format=csv", "/ui/audit", "/ui/audit/report", "/ui/playground/answer?customer=c1")


def test_a_view_whose_files_are_away_answers_503_until_they_are_back(house: Warehouse) -> None:
    build(house, FIRST)
    with house.build(FIRST).write() as connection:
        connection.execute("create table recs.customers as select 'c1' as customer_id")
        connection.execute("create table recs.baskets as select 'o1' as order_id")
        connection.execute("create table recs.gates as select date '2024-03-04' as as_of, true as passed")
    move_to_lake(house, FIRST)
    publish(house, FIRST)
    away = house.lake.rename(house.lake.with_name("elsewhere"))
    app = make_app(house.home, show_customer_ids=True)
    with TestClient(app) as client:
        for place in PLACES:
            answer = client.get(place)
            assert answer.status_code == 503, (place, answer.text)
            assert f"reads files that are not there ({house.lake}): make RECS_LAKE" in answer.text
        away.rename(house.lake)
        assert client.get("/ui").status_code == 200
    app.state.views.close()
