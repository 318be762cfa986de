"""Where prices and financial statements come from, and when."""

from pydantic import SecretStr

from batch_platform.core.settings.section import Section, variable


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
