"""Where prices and financial statements come from, and when."""

from datetime import date, time
from pathlib import Path
from typing import Annotated

from pydantic import SecretStr, field_validator
from pydantic_settings import NoDecode

from batch_platform.core.settings.section import Section, split_commas, variable


class StocksSettings(Section):
    """The exchange, the public data portal and the disclosure office."""

    krx_auth_key: SecretStr | None = variable("KRX_AUTH_KEY", None, "Key of the KRX Open API")
    krx_base_url: str = variable(
        "KRX_BASE_URL", "https://data-dbg.krx.co.kr/svc/apis/", "Address of the KRX Open API"
    )
    public_data_key: SecretStr | None = variable(
        "PUBLIC_DATA_SERVICE_KEY", None, "Key of data.go.kr, asked when the exchange fails"
    )
    public_data_base_url: str = variable(
        "PUBLIC_DATA_BASE_URL", "https://apis.data.go.kr/1160100/service/", "Address of data.go.kr"
    )
    opendart_key: SecretStr | None = variable("OPENDART_API_KEY", None, "Key of OpenDART")
    opendart_base_url: str = variable(
        "OPENDART_BASE_URL", "https://opendart.fss.or.kr/api/", "Address of OpenDART"
    )
    opendart_seconds_between_calls: float = variable(
        "OPENDART_SECONDS_BETWEEN_CALLS", 0.2, "Least time between two calls to OpenDART", ge=0
    )
    first_day: date = variable(
        "STOCKS_FIRST_DAY", date(2015, 1, 1), "First day whose prices can be asked for"
    )
    price_times: Annotated[tuple[time, ...], NoDecode] = variable(
        "STOCKS_PRICE_TIMES",
        (time(8, 30), time(9, 30), time(13, 10), time(18)),
        "Times (commas) at which yesterday's prices are asked for until they are there;"
        " not published after the last one is a failure",
        min_length=1,
    )
    report_folder: Path | None = variable(
        "STOCKS_REPORT_FOLDER", None, "Folder of the monthly workbooks; reports/stocks by default"
    )

    _split = field_validator("price_times", mode="before")(split_commas)
