"""What made-up answers have in common with a model's: sentences by field, and consistency.

Some name foods that somebody must not eat, as a careless model does: what a platform makes of that
can be seen in the demo.
"""

from typing import Any

SENTENCES = {
    "diet_evaluation": (
        "세 끼를 고르게 드셨지만 저녁이 조금 많았습니다.",
        "아침을 거르고 점심에 몰아서 드셨습니다.",
        "열량은 알맞았으나 채소가 부족했습니다.",
    ),
    "food_evaluation": (
        "기름진 음식이 적어 장에 부담이 덜했습니다.",
        "간이 센 음식이 여러 번 있었습니다.",
        "단 음료보다 물을 더 드시면 좋겠습니다.",
    ),
    "Breakfast": (
        "흰죽과 바나나 반 개",
        "쌀밥과 소고기뭇국",
        "찐 감자와 키위",
        "쌀밥과 애호박 나물, 오렌지",
        "고구마와 딸기",
        "우유 한 잔과 식빵",
    ),
    "Lunch": (
        "쌀밥, 닭가슴살 구이, 데친 시금치",
        "현미밥과 애호박 나물",
        "쌀밥과 닭고기 안심 찜",
        "쌀밥, 돼지고기 수육, 당근",
        "두부조림과 쌀밥",
        "구운 감자와 소고기, 당근",
    ),
    "Dinner": (
        "쌀밥과 가지 나물",
        "계란찜과 쌀밥",
        "닭고기 죽",
        "쌀밥과 소고기뭇국",
        "찐 고구마와 데친 청경채",
    ),
    "Summary": (
        "천천히 나누어 드시고 물을 자주 드세요.",
        "저녁은 잠들기 세 시간 전에 마치세요.",
        "국물보다 건더기를 드세요.",
        "세 끼를 제때 드세요.",
        "아몬드 한 줌을 간식으로 곁들이세요.",
    ),
    "sleep_evaluation": ("잠든 시간이 늦었습니다.", "수면 시간이 대체로 알맞았습니다."),
    "sleep_target": (
        "오늘은 11시 전에 잠자리에 드세요.",
        "잠들기 전 한 시간은 화면을 끄고 쉬세요.",
        "낮잠은 20분을 넘기지 마세요.",
        "일어나는 시간을 늘 같게 해 보세요.",
        "따뜻한 우유를 마시고 주무세요.",
    ),
    "exercise_evaluation": ("목표 걸음의 대부분을 채우셨습니다.", "어제보다 덜 걸으셨습니다."),
    "exercise_target": ("식사 뒤 10분씩 세 번 걸으세요.", "오늘은 7,000걸음을 목표로 하세요."),
}


def consistent(made: dict[str, Any]) -> dict[str, Any]:
    """Let the strongest of made-up emotions be the one that the answer calls dominant."""
    scores = made.get("plutchik_emotions")
    if isinstance(scores, dict) and scores and "dominant_emotion" in made:
        made["dominant_emotion"] = max(scores, key=lambda name: scores[name])
    return made
