"""The stocks' tables: listings, prices, corporate actions, trading days.

Prices are whole won as the exchange gives them; a day is one calendar date in Asia/Seoul.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_FIRST_YEAR, _LAST_YEAR = 2010, 2040


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA stocks;

        CREATE TABLE stocks.sectors (
            code      text COLLATE "C" PRIMARY KEY,
            name      text NOT NULL,
            name_en   text,
            level     smallint NOT NULL CHECK (level IN (1, 2)),
            parent_id text COLLATE "C" REFERENCES stocks.sectors (code)
        );
        COMMENT ON TABLE stocks.sectors IS
            'One row per market (level 1) and per section of it that the exchange names (level 2)';

        CREATE TABLE stocks.listings (
            ticker             text COLLATE "C" PRIMARY KEY CHECK (length(ticker) = 6),
            isin               text COLLATE "C" NOT NULL,
            name               text NOT NULL,
            name_en            text,
            market             text NOT NULL CHECK (market IN ('KOSPI', 'KOSDAQ')),
            sector_id          text COLLATE "C" REFERENCES stocks.sectors (code),
            listing_date       date,
            security_group     text,
            certificate_kind   text,
            par_value_krw      bigint,
            shares_outstanding bigint NOT NULL,
            first_seen_date    date NOT NULL,
            last_seen_date     date NOT NULL,
            source             text NOT NULL CHECK (source IN ('KRX', 'PUBLIC_DATA')),
            is_made_up         boolean NOT NULL,
            CHECK (first_seen_date <= last_seen_date)
        );
        COMMENT ON TABLE stocks.listings IS
            'One row per stock that was ever listed here, as of the last day it was seen on';
        COMMENT ON COLUMN stocks.listings.ticker IS
            'The six-character short code; it can hold letters';
        COMMENT ON COLUMN stocks.listings.certificate_kind IS
            'Common or preferred, in the exchange''s words';

        CREATE TABLE stocks.listing_days (
            date       date PRIMARY KEY,
            row_count  integer NOT NULL,
            source     text,
            reason     text,
            is_made_up boolean NOT NULL
        );
        COMMENT ON TABLE stocks.listing_days IS
            'One row per day whose list of stocks was read; no rows and the reason when closed';

        CREATE VIEW stocks.stocks AS
        WITH last AS (SELECT max(date) AS date FROM stocks.listing_days WHERE row_count > 0)
        SELECT ticker, name, name_en, market, sector_id, listing_date,
               CASE WHEN last_seen_date < last.date THEN
                   (SELECT min(after.date) FROM stocks.listing_days AS after
                    WHERE after.row_count > 0 AND after.date > last_seen_date)
               END AS delisting_date,
               last_seen_date >= last.date AS is_active
        FROM stocks.listings CROSS JOIN last;
        COMMENT ON VIEW stocks.stocks IS
            'The stocks as the system before had them; delisted from the first day they are not in';

        CREATE TABLE stocks.daily_prices (
            date               date NOT NULL,
            ticker             text COLLATE "C" NOT NULL,
            market             text NOT NULL,
            open               bigint,
            high               bigint,
            low                bigint,
            close              bigint NOT NULL,
            change_amount      bigint NOT NULL,
            change_rate        numeric(9, 2) NOT NULL,
            volume             bigint NOT NULL,
            trading_value      bigint NOT NULL,
            shares_outstanding bigint NOT NULL,
            market_cap         bigint NOT NULL,
            is_suspended       boolean NOT NULL,
            source             text NOT NULL,
            is_made_up         boolean NOT NULL,
            PRIMARY KEY (date, ticker)
        ) PARTITION BY RANGE (date);
        CREATE INDEX ON stocks.daily_prices (ticker, date);
        COMMENT ON TABLE stocks.daily_prices IS
            'One row per stock and trading day, raw: not adjusted for corporate actions';
        COMMENT ON COLUMN stocks.daily_prices.open IS
            'Won; null when the stock did not trade, as are high and low';
        COMMENT ON COLUMN stocks.daily_prices.change_amount IS
            'Close less the base price: the previous close, or what a corporate action made of it';
        COMMENT ON COLUMN stocks.daily_prices.change_rate IS 'Change in per cent of the base price';
        COMMENT ON COLUMN stocks.daily_prices.trading_value IS 'Won';
        COMMENT ON COLUMN stocks.daily_prices.is_suspended IS
            'Did not trade that day and keeps its close';
        COMMENT ON COLUMN stocks.daily_prices.source IS
            'KRX (the exchange) or PUBLIC_DATA (data.go.kr)';
        CREATE TABLE stocks.daily_prices_other PARTITION OF stocks.daily_prices DEFAULT;

        CREATE TABLE stocks.price_days (
            date        date PRIMARY KEY,
            kospi_rows  integer NOT NULL,
            kosdaq_rows integer NOT NULL,
            source      text,
            reason      text,
            run_id      text NOT NULL,
            is_made_up  boolean NOT NULL,
            fetched_at  timestamptz NOT NULL DEFAULT now(),
            CHECK ((source IS NULL) = (kospi_rows + kosdaq_rows = 0)),
            CHECK ((source IS NULL) = (reason IS NOT NULL))
        );
        COMMENT ON TABLE stocks.price_days IS
            'One row per day that is there: whence its prices came, or why there are none';

        CREATE TABLE stocks.corporate_actions (
            date           date NOT NULL,
            ticker         text COLLATE "C" NOT NULL,
            kind           text NOT NULL CHECK (kind IN ('split', 'consolidation', 'rights',
                                                         'other')),
            previous_close bigint NOT NULL,
            base_price     bigint NOT NULL CHECK (base_price > 0),
            factor         double precision NOT NULL CHECK (factor > 0),
            shares_before  bigint NOT NULL,
            shares_after   bigint NOT NULL,
            is_made_up     boolean NOT NULL,
            PRIMARY KEY (ticker, date)
        );
        CREATE INDEX ON stocks.corporate_actions (date);
        COMMENT ON TABLE stocks.corporate_actions IS
            'One row per stock and day on which the base price is not the previous close';
        COMMENT ON COLUMN stocks.corporate_actions.kind IS
            'What price and number of shares suggest: the exchange does not say';
        COMMENT ON COLUMN stocks.corporate_actions.factor IS
            'Base price by previous close: prices before this day times it compare with later ones';

        CREATE TABLE stocks.trading_day_overrides (
            date     date PRIMARY KEY,
            is_open  boolean NOT NULL,
            reason   text NOT NULL CHECK (reason <> ''),
            added_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON TABLE stocks.trading_day_overrides IS
            'Days on which the calendar of the exchange''s holidays is wrong, said by a person';

        CREATE VIEW stocks.adjusted_prices AS
        WITH spans AS (
            SELECT ticker, date AS until,
                   lag(date) OVER (PARTITION BY ticker ORDER BY date) AS since,
                   exp(sum(ln(factor)) OVER (PARTITION BY ticker ORDER BY date DESC)) AS factor
            FROM stocks.corporate_actions
        )
        SELECT price.date, price.ticker, price.market,
               round((price.open * coalesce(factor, 1))::numeric, 2) AS open,
               round((price.high * coalesce(factor, 1))::numeric, 2) AS high,
               round((price.low * coalesce(factor, 1))::numeric, 2) AS low,
               round((price.close * coalesce(factor, 1))::numeric, 2) AS close,
               round((price.volume / coalesce(factor, 1))::numeric, 0) AS volume,
               coalesce(factor, 1) AS factor,
               price.trading_value, price.market_cap, price.is_suspended, price.is_made_up
        FROM stocks.daily_prices AS price
        LEFT JOIN spans ON spans.ticker = price.ticker AND price.date < until
            AND (since IS NULL OR price.date >= since);
        COMMENT ON VIEW stocks.adjusted_prices IS
            'Daily prices in terms of the newest day: times the factors of all actions after them';
    """)
    for year in range(_FIRST_YEAR, _LAST_YEAR + 1):
        op.execute(
            f"CREATE TABLE stocks.daily_prices_{year} PARTITION OF stocks.daily_prices"
            f" FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
        )


def downgrade() -> None:
    op.execute("DROP SCHEMA stocks CASCADE")
