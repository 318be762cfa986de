"""Emotion analyses that nobody thought, but that agree with themselves."""

from typing import Any

_SCORES = "plutchik_emotions"
_DOMINANT = "dominant_emotion"


def settled(answer: Any) -> Any:
    """An answer in which the dominant emotion is the one of the highest score.

    Args:
        answer: A made-up value of any schema; one that is no analysis comes back as it was.
    """
    if isinstance(answer, list):
        return [settled(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    scores = answer.get(_SCORES)
    if isinstance(scores, dict) and scores and _DOMINANT in answer:
        return answer | {_DOMINANT: max(scores, key=lambda name: scores[name])}
    return {name: settled(each) for name, each in answer.items()}
