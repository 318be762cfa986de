"""The pages' words, Korean and English, and how times, amounts and durations are written."""

from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo


class Language(StrEnum):
    """A language of the pages."""

    KOREAN = "ko"
    ENGLISH = "en"


def language_of(asked: str | None, remembered: str | None, accepted: str) -> Language:
    """The language of a page: asked for now, chosen before, or what the browser prefers."""
    for each in (asked, remembered):
        if each in set(Language):
            return Language(each)
    for part in accepted.split(","):
        tag = part.partition(";")[0].strip().lower()
        for language in Language:
            if tag == language or tag.startswith(f"{language}-"):
                return language
    return Language.KOREAN


class Words:
    """How a page speaks.

    Args:
        language: Of the page.
        zone: In which times are shown.
    """

    def __init__(self, language: Language, zone: ZoneInfo) -> None:
        self.language = language
        self._zone = zone
        self._index = list(Language).index(language)

    @property
    def other(self) -> Language:
        """The language to switch to."""
        return Language.ENGLISH if self.language is Language.KOREAN else Language.KOREAN

    def __call__(self, key: str, **values: object) -> str:
        """The words for a key, with values put in."""
        return _WORDS[key][self._index].format(**values)

    def domain(self, name: str) -> str:
        """A domain's name for people; its own when nobody gave it one."""
        return _DOMAINS[name][self._index] if name in _DOMAINS else name

    def day(self, day: date | str) -> str:
        """`11월 20일 (금)`, `Fri 20 Nov`; what is no day as it is."""
        try:
            at = date.fromisoformat(day) if isinstance(day, str) else day
        except ValueError:
            return str(day)
        if self.language is Language.KOREAN:
            return f"{at.month}월 {at.day}일 ({'월화수목금토일'[at.weekday()]})"
        return f"{_WEEKDAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]}"

    def time(self, at: datetime) -> str:
        """`07:00`."""
        return f"{at.astimezone(self._zone):%H:%M}"

    def moment(self, at: datetime, now: datetime) -> str:
        """`07:00` on the same day, `어제 23:50`, `11월 12일 (목) 07:00`."""
        local = at.astimezone(self._zone)
        days_ago = (now.astimezone(self._zone).date() - local.date()).days
        if days_ago == 0:
            return f"{local:%H:%M}"
        day = self("yesterday") if days_ago == 1 else self.day(local.date())
        return f"{day} {local:%H:%M}"

    def duration(self, seconds: float) -> str:
        """`3.6초`, `4분 10초`, `1시간 5분`."""
        whole = round(seconds)
        second, minute, hour = _UNITS[self._index]
        if seconds < 10:
            return f"{seconds:.1f}{second}"
        if whole < 60:
            return f"{whole}{second}"
        if whole < 3600:
            rest = f" {whole % 60}{second}" if whole % 60 else ""
            return f"{whole // 60}{minute}{rest}"
        minutes = round(seconds / 60)
        rest = f" {minutes % 60}{minute}" if minutes % 60 else ""
        return f"{minutes // 60}{hour}{rest}"

    def number(self, value: float) -> str:
        """`1,234`."""
        return f"{value:,.0f}"

    def won(self, value: float) -> str:
        """`1,234원`, `₩1,234`; to the tenth below ten."""
        amount = f"{value:,.1f}" if 0 < value < 10 else f"{value:,.0f}"
        return f"{amount}원" if self.language is Language.KOREAN else f"₩{amount}"


_UNITS = (("초", "분", "시간"), (" s", " min", " h"))
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DOMAINS = {
    "chats": ("채팅 분류", "Chats"),
    "fortunes": ("오늘의 운세", "Fortunes"),
    "interventions": ("건강 중재", "Interventions"),
    "stocks": ("주식 시세", "Stocks"),
    "emotions": ("감정 분석", "Emotions"),
    "backups": ("백업", "Backups"),
    "operations": ("운영", "Operations"),
}
_WORDS: dict[str, tuple[str, str]] = {
    "title": ("야간 배치", "Night batch"),
    "made_up": (
        "데모: 모든 데이터와 답변은 가상(샌드박스)입니다",
        "Demo: all data and answers are made up (sandbox)",
    ),
    "skip": ("본문으로", "Skip to the page"),
    "menu": ("메뉴", "Menu"),
    "morning": ("아침", "Morning"),
    "costs": ("비용", "Costs"),
    "quarantine": ("보류함", "Quarantine"),
    "webserver": ("Dagster 웹서버", "Dagster webserver"),
    "switch": ("English", "한국어"),
    "sign_out": ("로그아웃", "Sign out"),
    "sign_in": ("로그인", "Sign in"),
    "token": ("API 토큰", "API token"),
    "token_hint": (
        "batch-platform tokens create 로 만든 토큰을 붙여 넣으세요. 30일 동안 기억합니다.",
        "Paste a token made by batch-platform tokens create. It is remembered for 30 days.",
    ),
    "token_wrong": (
        "이 토큰은 쓸 수 없습니다. 다시 확인하거나 새로 만드세요.",
        "This token is not known, has expired or was revoked. Check it, or make a new one.",
    ),
    # The first thing to be read
    "all_done": ("모두 끝났습니다", "Everything is done"),
    "all_done_late": ("모두 끝났지만 늦은 것이 있습니다", "Everything is done, some of it late"),
    "is_running": ("지금 일하는 중입니다", "Work is going on"),
    "is_waiting": ("아직 때가 되지 않았습니다", "Nothing is due yet"),
    "yesterday": ("어제", "yesterday"),
    "as_of": ("{at} 현재", "as of {at}"),
    "connection_lost": (
        "연결이 끊겼습니다. 보이는 것은 지난 상태입니다.",
        "The connection is lost. What you see is from before.",
    ),
    # States
    "failed": ("실패", "Failed"),
    "late": ("늦음", "Late"),
    "running": ("진행 중", "Running"),
    "waiting": ("대기", "Waiting"),
    "done-late": ("늦게 끝남", "Done late"),
    "done": ("완료", "Done"),
    "nothing-due": ("해당 없음", "Nothing due"),
    # Incidents
    "budget_passed": ("예산 도달", "Budget reached"),
    "check_failed": ("검사 실패", "Check failed"),
    "at_risk": ("늦을 듯", "At risk"),
    "missed": ("놓침", "Missed"),
    "stalled": ("멈춤", "Stalled"),
    "caught_up": ("따라잡음", "Caught up"),
    "incidents": ("열린 장애", "Open incidents"),
    "since": ("{at}부터", "since {at}"),
    "times": ("{count}번째", "seen {count} times"),
    "what_to_do": ("다음에 할 일", "What to do"),
    "more_causes": ("다른 원인 {count}개", "{count} more causes"),
    "retry": ("다시 실행", "Run again"),
    "retry_of": ("{job} {partition} 다시 실행", "Run {job} {partition} again"),
    "under_way": ("다시 실행하는 중", "Running again"),
    "no_retry": ("웹서버에서 다시 실행하세요", "Run it again in the webserver"),
    "needs_operator": (
        "다시 실행하려면 operator 토큰으로 로그인하세요",
        "Sign in with a token of scope operator to run it again",
    ),
    "see_run": ("실행 기록", "The run"),
    "asked_for": (
        "{job} {partition} 실행을 요청했습니다. 30초 안에 시작합니다.",
        "{job} {partition} was asked for. It starts within half a minute.",
    ),
    "asked_for_away": (
        "{job} {partition} 실행을 요청했습니다. 데몬이 돌아오면 시작합니다.",
        "{job} {partition} was asked for. It starts when the daemon is back.",
    ),
    "already_right": (
        "그 장애는 이미 해결되었습니다.",
        "That incident is over already.",
    ),
    # Running
    "running_now": ("지금 실행 중", "Running now"),
    "in_queue": ("차례를 기다림", "in the queue"),
    "assets_made": ("자산 {made} / {planned}", "{made} of {planned} assets"),
    "items": ("항목 {done} / {total}", "{done} of {total} items"),
    "left": ("{duration} 남음", "{duration} left"),
    "will_be_late": (
        "이 속도면 마감보다 {duration} 늦습니다",
        "At this rate {duration} after the deadline",
    ),
    # Domains
    "last_night": ("지난 밤", "Last night"),
    "partition_of": ("{day}분", "for {day}"),
    "due": ("마감 {at}", "due {at}"),
    "finished": ("{at}에 끝남", "done at {at}"),
    "rows": ("행", "Rows"),
    "won": ("비용", "Cost"),
    "took": ("걸린 시간", "Took"),
    "usual": ("보통 {duration}", "usually {duration}"),
    "takes_usually": ("보통 {duration} 걸립니다", "Usually takes {duration}"),
    "report": ("보고서 내려받기", "Download the report"),
    "switched_off": ("꺼져 있음: {domains}", "Switched off: {domains}"),
    "on_demand": ("요청할 때 도는 것", "On demand"),
    "no_nights": ("아직 아는 밤이 없습니다", "No night is known yet"),
    "no_nights_hint": (
        "platform이 처음 켜지면 마감이 여기에 나타납니다: batch-platform up",
        "Deadlines appear here when the platform is started: batch-platform up",
    ),
    # The strip
    "nights": ("최근 {count}일 밤", "The last {count} nights"),
    "legend": ("범례", "Legend"),
    "day": ("마감일", "Deadline"),
    # Notices
    "daemon_away": (
        "데몬이 보이지 않습니다(마지막 {at}). 돌아오기 전에는 아무것도 시작하지 않습니다: "
        "batch-platform up",
        "The daemon is away (last seen {at}). Nothing starts before it is back: batch-platform up",
    ),
    "daemon_never": (
        "데몬이 켜진 적이 없습니다. batch-platform up 으로 켜세요.",
        "The daemon has never run. Start it with batch-platform up.",
    ),
    "unsent": (
        "보내지 못한 알림 {count}건: 메일 서버나 웹훅을 확인하세요.",
        "{count} alerts could not be sent: check the mail server or the webhook.",
    ),
    "quarantined": ("보류된 항목 {count}건", "{count} items in quarantine"),
    "spent_today": ("오늘 모델 비용 {won}", "Models cost {won} today"),
    # The quarantine
    "quarantine_about": (
        "모델이 쓸 수 있는 답을 주지 못해 따로 둔 항목입니다. 나머지는 그대로 진행되었습니다.",
        "Items that no model gave a usable answer about. All others went on without them.",
    ),
    "nothing_set_aside": ("보류된 항목이 없습니다", "Nothing is set aside"),
    "ask_again": ("다시 묻기", "Ask again"),
    "ask_all_again": ("{count}건 모두 다시 묻기", "Ask about all {count} again"),
    "answered_by_rules": (
        "{count}건은 규칙이 쓴 권고가 이미 있어 저절로 다시 묻지 않습니다. 모델의 답으로 바꾸려면 "
        "batch-platform interventions run --date 날짜 --force",
        "{count} have advice by the rules, which stands. To have a model replace it: "
        "batch-platform interventions run --date DAY --force",
    ),
    "asked_again": (
        "{count}건을 다시 묻도록 했습니다. 그날의 작업이 30초 안에 다시 시작합니다.",
        "{count} will be asked about again. Their days' jobs start within half a minute.",
    ),
    "discard": ("버리기", "Discard"),
    "discarded": ("{count}건을 버렸습니다. 기록은 남습니다.", "{count} discarded, on record."),
    "reason": ("이유", "Reason"),
    "attempts": ("{count}번 물음", "asked {count} times"),
    "more_items": ("오래된 항목이 더 있습니다", "There are older ones"),
    # Costs
    "this_month": ("이번 달", "This month"),
    "month_forecast": ("이번 달 예상", "Forecast for the month"),
    "forecast_about": (
        "남은 날이 지난 7일만큼 든다면",
        "if the days left cost what the last seven did",
    ),
    "today": ("오늘", "Today"),
    "by_day": ("날짜별", "By day"),
    "bars": ("날짜별 비용, 가장 많은 날 {most}", "Costs by day, {most} at most"),
    "most": ("최대 {won}", "at most {won}"),
    "as_table": ("표로 보기", "As a table"),
    "spent_on": ("쓴 날", "Day"),
    "sum": ("합계", "Sum"),
    "no_costs": ("아직 모델 비용이 없습니다", "No model has cost anything yet"),
    "budget_today": ("오늘의 예산", "Today's budget"),
    "no_bound": ("한도 없음", "no bound"),
    "by_model": ("이번 달 모델별", "This month, by model"),
    "domain_name": ("분야", "Domain"),
    "model": ("모델", "Model"),
    "texts": ("질문", "Texts"),
    "tokens": ("토큰", "Tokens"),
    "sandbox": ("(가상)", "(made up)"),
    "without_answer": ("답 없음 {count}", "{count} without an answer"),
    # Errors
    "error_401": ("로그인이 필요합니다", "Please sign in"),
    "error_403": ("할 수 없는 일입니다", "This is not allowed"),
    "error_404": ("여기에는 아무것도 없습니다", "Nothing is here"),
    "error_other": ("이 요청은 처리할 수 없습니다", "This request cannot be answered"),
    "error_500": ("여기서 무언가 잘못되었습니다", "Something went wrong here"),
    "error_503": ("지금은 대답할 수 없습니다", "The platform cannot answer now"),
    "error_503_hint": (
        "데이터베이스가 대답하지 않습니다. 잠시 뒤 다시 여세요. 로그에 이유가 있습니다.",
        "The database does not answer. Try again in a moment; the log tells why.",
    ),
    "error_instance": ("로그에서 찾을 이름: {instance}", "Its name in the log: {instance}"),
    "back": ("아침 페이지로", "To the morning page"),
    "try_again": ("다시 열기", "Try again"),
}
