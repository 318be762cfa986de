"""The stocks' financial statements, ratios and valuations. Amounts are whole won."""

from alembic import op

revision = "0006"
down_revision = "0005"

_FIRST_YEAR, _LAST_YEAR = 2010, 2040


def upgrade() -> None:
    op.execute("""
        CREATE TABLE stocks.corp_codes (
            quarter_start  date NOT NULL,
            fiscal_year    smallint NOT NULL,
            fiscal_quarter smallint NOT NULL CHECK (fiscal_quarter BETWEEN 1 AND 4),
            ticker         text COLLATE "C" NOT NULL,
            corp_code      text COLLATE "C" NOT NULL CHECK (corp_code ~ '^[0-9]{8}$'),
            corp_name      text NOT NULL,
            modify_date    date NOT NULL,
            is_made_up     boolean NOT NULL,
            PRIMARY KEY (quarter_start, ticker),
            UNIQUE (quarter_start, corp_code)
        );
        COMMENT ON TABLE stocks.corp_codes IS
            'One row per listed company, as the disclosure office listed it when the quarter was
             asked for; preferred shares have none';
        COMMENT ON COLUMN stocks.corp_codes.quarter_start IS
            'The partition: the first day of the fiscal quarter where the fiscal year is the
             calendar''s; in the other tables too';
        COMMENT ON COLUMN stocks.corp_codes.modify_date IS
            'When the office changed the entry last';

        CREATE INDEX ON stocks.corp_codes (ticker, quarter_start);

        CREATE VIEW stocks.corp_code_map AS
        SELECT DISTINCT ON (ticker) ticker, corp_code, corp_name, modify_date, is_made_up
        FROM stocks.corp_codes
        ORDER BY ticker, quarter_start DESC;
        COMMENT ON VIEW stocks.corp_code_map IS
            'Every ticker that ever had a corporation code, with the newest; delisted ones stay';

        CREATE TABLE stocks.financial_statements (
            quarter_start            date NOT NULL,
            fiscal_year              smallint NOT NULL,
            fiscal_quarter           smallint NOT NULL CHECK (fiscal_quarter BETWEEN 1 AND 4),
            corp_code                text COLLATE "C" NOT NULL,
            receipt_no               text COLLATE "C" NOT NULL CHECK (receipt_no ~ '^[0-9]{14}$'),
            ticker                   text COLLATE "C" NOT NULL,
            received_date            date NOT NULL,
            statement_type           text NOT NULL CHECK (statement_type IN ('CFS', 'OFS')),
            period_end               date NOT NULL,
            total_assets_krw         bigint,
            total_liabilities_krw    bigint,
            total_equity_krw         bigint,
            owners_equity_krw        bigint,
            current_assets_krw       bigint,
            current_liabilities_krw  bigint,
            revenue_krw                      bigint,
            revenue_ytd_krw                  bigint,
            revenue_prior_ytd_krw            bigint,
            operating_income_krw             bigint,
            operating_income_ytd_krw         bigint,
            operating_income_prior_ytd_krw   bigint,
            net_income_krw                   bigint,
            net_income_ytd_krw               bigint,
            net_income_prior_ytd_krw         bigint,
            owners_net_income_krw            bigint,
            owners_net_income_ytd_krw        bigint,
            owners_net_income_prior_ytd_krw  bigint,
            operating_cash_flow_ytd_krw      bigint,
            balance_sheet            jsonb,
            income_statement         jsonb,
            cash_flow                jsonb,
            equity_changes           jsonb,
            has_all_accounts         boolean NOT NULL DEFAULT false,
            is_made_up               boolean NOT NULL,
            retrieved_at             timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (quarter_start, corp_code, receipt_no)
        );
        COMMENT ON TABLE stocks.financial_statements IS
            'One row per company, quarter and filing; a correction adds one, and none is deleted:
             days before the correction need what was known then';
        COMMENT ON COLUMN stocks.financial_statements.receipt_no IS
            'The office''s number of the filing; its first eight digits are the day';
        COMMENT ON COLUMN stocks.financial_statements.statement_type IS
            'CFS consolidated, OFS separate where there is no consolidated statement';
        COMMENT ON COLUMN stocks.financial_statements.period_end IS 'The balance sheet''s day';
        COMMENT ON COLUMN stocks.financial_statements.revenue_krw IS
            'Three months; null in an annual report, which gives the year only';
        COMMENT ON COLUMN stocks.financial_statements.revenue_ytd_krw IS
            'From the fiscal year''s first day';
        COMMENT ON COLUMN stocks.financial_statements.revenue_prior_ytd_krw IS
            'The same part of the year before, as this filing compares it';
        COMMENT ON COLUMN stocks.financial_statements.balance_sheet IS
            'Lines as received, of the statement type; so are the other three';
        COMMENT ON COLUMN stocks.financial_statements.has_all_accounts IS
            'Whether owners'' figures, cash flow and changes in equity were asked for as well';
        COMMENT ON COLUMN stocks.financial_statements.retrieved_at IS
            'When this row was written or changed last; an answer without news changes nothing';

        CREATE TABLE stocks.financial_ratios (
            quarter_start   date NOT NULL,
            fiscal_year     smallint NOT NULL,
            fiscal_quarter  smallint NOT NULL CHECK (fiscal_quarter BETWEEN 1 AND 4),
            corp_code       text COLLATE "C" NOT NULL,
            known_from      date NOT NULL,
            ticker          text COLLATE "C" NOT NULL,
            receipt_no      text COLLATE "C" NOT NULL,
            receipt_numbers text[] NOT NULL,
            statement_type  text NOT NULL,
            period_end      date NOT NULL,
            revenue_krw                    bigint,
            operating_income_krw           bigint,
            net_income_krw                 bigint,
            trailing_revenue_krw           bigint,
            trailing_operating_income_krw  bigint,
            trailing_net_income_krw        bigint,
            earnings_krw                   bigint,
            book_value_krw                 bigint,
            has_owners_figures             boolean NOT NULL,
            shares                         bigint,
            shares_date                    date,
            roe              double precision,
            roa              double precision,
            debt_ratio       double precision,
            current_ratio    double precision,
            operating_margin double precision,
            eps_krw          double precision,
            bps_krw          double precision,
            reasons          jsonb NOT NULL,
            is_made_up       boolean NOT NULL,
            PRIMARY KEY (quarter_start, corp_code, known_from)
        );
        CREATE INDEX ON stocks.financial_ratios (known_from);
        COMMENT ON TABLE stocks.financial_ratios IS
            'One row per company, quarter and day from which it could be known so; 0.12 is 12 %';
        COMMENT ON COLUMN stocks.financial_ratios.known_from IS
            'When the last filing that the row rests on was received';
        COMMENT ON COLUMN stocks.financial_ratios.receipt_numbers IS
            'All filings known that day that the row rests on; receipt_no is the quarter''s own';
        COMMENT ON COLUMN stocks.financial_ratios.revenue_krw IS
            'The quarter alone; of the fourth, the annual figure less the third''s year so far';
        COMMENT ON COLUMN stocks.financial_ratios.trailing_revenue_krw IS
            'The trailing four quarters';
        COMMENT ON COLUMN stocks.financial_ratios.earnings_krw IS
            'What EPS is made of: trailing net income, of the parent''s owners where known';
        COMMENT ON COLUMN stocks.financial_ratios.book_value_krw IS
            'What BPS is made of: equity, of the parent''s owners where known';
        COMMENT ON COLUMN stocks.financial_ratios.shares_date IS
            'The trading day whose number of listed shares was taken';
        COMMENT ON COLUMN stocks.financial_ratios.reasons IS 'Missing ratio → why it is missing';

        CREATE TABLE stocks.valuations (
            date           date NOT NULL,
            ticker         text COLLATE "C" NOT NULL,
            corp_code      text COLLATE "C" NOT NULL,
            quarter_start  date,
            receipt_no     text COLLATE "C",
            known_from     date,
            per            double precision,
            pbr            double precision,
            eps_krw        double precision,
            bps_krw        double precision,
            roe            double precision,
            reasons        jsonb NOT NULL,
            is_made_up     boolean NOT NULL,
            PRIMARY KEY (date, ticker),
            CHECK (known_from <= date)
        ) PARTITION BY RANGE (date);
        CREATE INDEX ON stocks.valuations (ticker, date);
        COMMENT ON TABLE stocks.valuations IS
            'One row per company''s common stock and trading day, from the statements received up to
             that day; preferred shares are left out';
        COMMENT ON COLUMN stocks.valuations.per IS
            'Close / EPS; null, with the reason, when EPS is not above zero';
        COMMENT ON COLUMN stocks.valuations.eps_krw IS
            'Trailing four quarters, by the shares listed that day: a split changes it with the
             price';
        CREATE TABLE stocks.valuations_other PARTITION OF stocks.valuations DEFAULT;
    """)
    for year in range(_FIRST_YEAR, _LAST_YEAR + 1):
        op.execute(
            f"CREATE TABLE stocks.valuations_{year} PARTITION OF stocks.valuations"
            f" FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
        )


def downgrade() -> None:
    op.execute("""
        DROP TABLE stocks.valuations;
        DROP TABLE stocks.financial_ratios;
        DROP TABLE stocks.financial_statements;
        DROP VIEW stocks.corp_code_map;
        DROP TABLE stocks.corp_codes;
    """)
