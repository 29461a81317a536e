"""Which goods are sensitive: the shipped words in six languages, what only sounds like them, and a shop's own file."""

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from recs_assets.rules.sensitive import SensitiveGoods, simplify
from recs_assets.settings import PROJECT_ROOT

SHIPPED = SensitiveGoods.model_validate(
    yaml.safe_load((PROJECT_ROOT / "recs_assets" / "rules" / "sensitive.yaml").read_text())
)


def topics(*products, goods=SHIPPED):
    """`products`: name, or (name, category) or (name, category, vertical)."""
    rows = [(one,) if isinstance(one, str) else one for one in products]
    rows = [(*row, *[None] * (3 - len(row))) for row in rows]
    frame = pd.DataFrame(rows, columns=["name", "category", "vertical"]).assign(brand=None)
    found = goods.classify(frame)
    return [found.topics[number] if number >= 0 else None for number in found.topic]


@pytest.mark.parametrize(
    ("topic", "names"),
    [
        (
            "tobacco",
            [
                "Cigarettes 20 pack", "CIGARETTES", "Disposable vape mango", "Zigaretten 20 Stück", "Drehtabak 30 g",
                "Tabac à rouler 40 g", "Cigarrillos rubios", "Sigaretten rood", "Sigarette 20", "Nicotine pouches mint", "Zigaretten-Tabak", "Nikotin-Pouches", "Papiers à rouler", "Rizla papers",
            ],
        ),
        (
            "alcohol",
            [
                "BEERALEMALT LIQUORS 12 OZ", "Red wine 0.75 l", "Pale Ale 33 cl", "London Dry Gin", "Rotwein trocken", "Weißbier 0,5 l",
                "Bière blonde 6 x 25 cl", "Vin rouge de pays", "Cerveza rubia", "Vino tinto Rioja", "Rode wijn", "Speciaalbier", "Birra rossa",
                "Spumante brut", "Vodka 1 l", "Eierlikör 20 %", "Carling Lager 10 x 440ml", "Erdinger Weißbier Hefe", "Beer in a glass bottle", "Champagner brut",
                "Hefeweizen 0,5 l", "Bierkasten 20 x 0,5 l", "Gluehwein", "Kräuterlikör", "Kraeuterlikoer", "Eiswein", "Rotwein-Cuvée", "Rhum agricole", "Barolo", "Strong cider", "Orujo", "Wijnpakket",
            ],
        ),
        (
            "intimate",
            [
                "Condoms 12 pack", "PROPHYLACTICS", "FEM YEAST TREATMENTS", "Kondome feucht", "Gleitgel 100 ml", "Préservatifs x12", "Preservativos",
                "Profilattici", "Condooms", "Personal lubricant",
                "Kondompackung 12 St.", "Kondom-Box", "Condones", "Vibromasseur", "Vibratoren",
            ],
        ),
        (
            "pregnancy",
            [
                "PREGNANCY TEST KITS", "Ovulation test strips", "Schwangerschaftstest", "Test de grossesse", "Test de embarazo", "Test di gravidanza",
                "Zwangerschapstest", "Clearblue digital", "Schwangerschafts-Test", "Umstands-BH", "Umstandsjeans", "Nursing bra", "Eisprungtest",
            ],
        ),
        (
            "conditions",
            [
                "ADULT INCONTINENCE PADS", "HEMORRHOIDAL cream", "Head lice comb", "Hair loss tonic", "Weight loss capsules", "Inkontinenz Einlagen",
                "Läusekamm", "Anti-chute shampooing", "Anticaída champú", "Emorroidi crema", "Aambeienzalf", "DIET PILLS/SUPPLEMENTS", "Tee zum Abnehmen", "Läuse-Shampoo", "Läuseshampoo", "LAEUSEKAMM", "Tena Lady", "Pañales para adultos", "Appetitzügler",
            ],
        ),
        (
            "health",
            [
                "ADULT ANALGESICS", "Ibuprofen 400", "COUGH SYRP/LOZNG-DRP", "SMOKING CESSATION", "Nicotine patches", "Hustensaft", "Schmerztabletten",
                "Antidouleur 500", "Analgésico oral", "Sciroppo per la tosse", "Hoestdrank", "ANTI-ACIDS", "Wheelchair, folding", "Blutdruckmessgerät", "Hustenbonbons", "Blutzucker-Teststreifen", "Corona-Schnelltest", "Patch nicotine",
            ],
        ),
        ("feminine_hygiene", ["FEM. HYGN. TAMPONS", "Damenbinden", "Serviettes hygiéniques", "Compresas", "Assorbenti igienici", "Maandverband", "Periodenunterwäsche", "Culotte menstruelle"]),
        ("gambling", ["Lottery ticket", "Scratch card 5", "Rubbellos", "Gratta e vinci"]),
        ("weapons", ["9 mm ammunition", "Hunting rifle", "Pfefferspray", "Pepper spray 50 ml", "Pfeffer-Spray", "Luftgewehr", "Taser"]),
        ("drugs", ["CBD oil 10 %", "Cannabis seeds", "CBD-Öl", "Hanfblüten"]),
        ("belief", ["Bible, large print", "Quran", "Gebetsteppich", "KOSHER FOODS", "Kinderbibel", "Hijab"]),
    ],
)  # fmt: skip
def test_the_shipped_words_find_it(topic: str, names: list[str]) -> None:
    assert dict(zip(names, topics(*names), strict=True)) == dict.fromkeys(names, topic)


@pytest.mark.parametrize(
    ("topic", "category"),
    [
        ("tobacco", "Tobacco & Vaping"), ("alcohol", "Beer, Wine & Spirits"), ("alcohol", "Wein, Bier & Spirituosen"),
        ("alcohol", "Vins et spiritueux"), ("alcohol", "Vinos y licores"), ("alcohol", "Wijn en bier"), ("alcohol", "Birra e vini"),
        ("intimate", "Family Planning"), ("intimate", "Sexual Wellness"), ("pregnancy", "Umstandsmode"),
        ("health", "ANALGESICS"), ("health", "Farmacia"), ("feminine_hygiene", "Damenhygiene"),
    ],
)  # fmt: skip
def test_a_category_is_enough(topic: str, category: str) -> None:
    assert topics(("Article 4711", category), ("Article 4711", None, category)) == [topic, topic]


def test_what_only_sounds_like_it_is_not_sensitive() -> None:
    names = [
        "Ginger beer 33 cl", "Root beer", "Ginger ale", "White wine vinegar", ("VINEGAR WINE/RICE", "CONDIMENTS/SAUCES"), "COOKING WINES",
        "Wine glasses set of 6", "Weinglas Burgund", "Beer mug", "GIN + TONIC DIET METAL SIGN", "Bottle opener beer",
        ("Dress, wine", "Clothing"), ("Decanting funnel", "Wine Accessories"), "Bierschinken 100 g", "Weintrauben kernlos", "Schweinefilet", "Rum raisin ice cream", "Bourbon vanilla extract",
        "Barbier Rasiercreme", "Condominium board game", "USB-C port hub", "Lager 6204 Kugellager", "Wine fridge 24 bottles", "Alcohol-free gin", "Beer, non-alcoholic",
            "Heineken 0.0", "Waldbeeren Mix", ("Himbeeren", "Beeren"), "Liquorice Allsorts", ("Lakritz", "Liquorice"), "Jam without preservatives",
            "Fahrradkorb abnehmbar", "Harnais anti-chute", "Arnés anticaída", "Imbracatura anticaduta", "Campari tomatoes", "Lotto sneakers",
            "Champagne flutes", "Cacao amaro", "Radler Trikot", "Leather bag cognac", "Animal lotto game", "Slimming jeans", "Jalapeno poppers",
        "Cigarette pants black", "Car charger for cigarette lighter", "Tobacco Vanille eau de parfum", "Brown leather shoes, tobacco",
        "Fertilizer 5 kg", "Gel douche lavande", "Apple juice & cider", "Glue gun", "Shotgun microphone", "Water guns", "Toy pistol",
        "Hypoallergenic pillow", "Kosher salt", "Price list", "Licensed ballons", "FROZEN PIZZA", "Slice of cake", "Nurse costume",
        "Assam Breakfast 100 g", "Seal gasket", "Analog camera", "Virgin olive oil", "Pinot colour wall paint", "Diaper size 4",
        "Beermat set", "Beer mat", "Bierdeckel", "Bierwurst", "Whisky stones", "Vinaigre balsamique", "Vinyl record", "Medicine ball", "Sexton novel", "Unisex shirt",
        "Condominium map", "Kondominium", "Umstandshalber abzugeben", "Tampons à récurer", "Compresas de gel frío", "Penne alla vodka", "Champagner-Trüffel", "Baba au rhum",
        "Rifle Paper Co. notebook", "Bong Joon-ho film", "Snuffle mat dog", "Weinstein Backpulver", "White spirit 1 l", "Apple cider donuts", "Massagepistole", "Lagerregal",
    ]  # fmt: skip
    assert [pair for pair in zip(names, topics(*names), strict=True) if pair[1]] == []


def test_levels_by_topic() -> None:
    levels = {name: set(topic.levels) for name, topic in SHIPPED.topics.items()}
    quiet = {"never_discover", "never_cite", "no_counts"}
    never = {"never_offer"}
    assert levels == {
        "tobacco": never, "alcohol": quiet, "intimate": never, "pregnancy": never, "conditions": never, "health": quiet,
        "feminine_hygiene": quiet, "gambling": never, "weapons": never, "drugs": never, "belief": quiet,
    }  # fmt: skip


def test_a_file_of_its_own() -> None:
    goods = SensitiveGoods.model_validate(
        {
            "topics": {
                "sweets": {"levels": ["no_counts"], "words": ["Bonbon*"], "ignore": ["bonbon glass"], "unless": ["sugar free"]},
                "shelf": {"levels": ["never_offer", "no_counts"], "categories": ["Top Shelf"]},
            }
        }
    )  # fmt: skip
    frame = pd.DataFrame(
        {
            "name": ["Bonbons", "BONBON glass", "Sugar-free bonbon", "Bonbon, Bonbon glass", "Bonbon", None],
            "brand": None,
            "category": [None, None, None, None, "top shelf", "top shelf"],
        }
    )
    found = goods.classify(frame)
    assert found.topic.tolist() == [0, -1, -1, 0, 0, 1]
    assert found.no_counts.tolist() == [True, False, False, True, True, True]
    assert found.never_offer.tolist() == [False, False, False, False, True, True]
    assert not np.any([found.never_discover, found.never_cite])
    assert goods.classify(frame) is found  # asked again about the same products
    assert goods.classify(frame.iloc[:1]).topic.tolist() == [0]


@pytest.mark.parametrize(
    "topic", [{"levels": []}, {"levels": ["sometimes"]}, {"levels": ["no_counts"], "words": ["*"]}, {"levels": ["no_counts"], "word": ["x"]}]
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused(topic: dict) -> None:
    with pytest.raises(ValidationError):
        SensitiveGoods.model_validate({"topics": {"sweets": topic}})


def test_plain_text() -> None:
    assert simplify("Préservatifs/KONDOME (12 St.)_x") == "preservatifs kondome 12 st x"


def test_the_list_of_what_was_found_is_by_topic_and_counted() -> None:
    products = pd.DataFrame(
        {
            "name": ["Pils 6 x 0.5 l", "Pils 6 x 0.5 l", "Bread", "Cigarettes", None],
            "brand": None,
            "category": ["Beer", "Beer", "Bakery", None, "Family planning"],
        }
    )
    quiet = "never_discover, never_cite, no_counts"
    assert list(SHIPPED.table(products).itertuples(index=False, name=None)) == [
        ("tobacco", "never_offer", "", "Cigarettes", 1),
        ("alcohol", quiet, "Beer", "Pils 6 x 0.5 l", 2),
        ("intimate", "never_offer", "Family planning", "", 1),
    ]
