"""Answers that nobody thought: a value for any JSON schema, always the same one for a text.

Only generation lives here. What a request looks like is `chat_calls`' business, how an answer goes
wrong on purpose is `faults`'.
"""

import hashlib
import json
import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch_platform.sandbox import korean_words, made_up_habits
from batch_platform.sandbox.made_up_emotions import settled

MARK = "(지어낸 답)"
"""Stands in every free text that the sandbox writes, so that nobody takes it for a model's."""

_SENTENCES = (
    "이 문장은 연습용 서버가 지어낸 것입니다.",
    "실제 모델의 판단이 아닙니다.",
    "자료의 모양만 흉내 냅니다.",
    "뜻을 두지 마십시오.",
)
_DEEPEST = 24

Schema = Mapping[str, Any]
"""A JSON schema as it stands in a request."""


def text_digest(text: str) -> str:
    """First 32 hexadecimal digits of a text's SHA-256; lone surrogates count as they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Item:
    """One line between `<items>` and `</items>`.

    Attributes:
        fields: The whole line; `id` and `text` are among them.
        digest: `text_digest` of the text.
    """

    text: str
    fields: Mapping[str, Any]
    digest: str


@dataclass(slots=True)
class Answerer:
    """Answers items by a JSON schema.

    Args:
        schema: Root schema; `$defs` are looked up here.
        guidance: What the request says in words; ids of categories are explained there.
    """

    schema: Schema
    guidance: str = ""
    _resolved: dict[int, tuple[Schema, Schema]] = field(
        default_factory=dict[int, tuple[Schema, Schema]]
    )
    _labels: dict[int, tuple[Schema, dict[str, object]]] = field(
        default_factory=dict[int, tuple[Schema, dict[str, object]]]
    )

    def answers_schema(self) -> Schema | None:
        """The schema of one answer when the root is `{"answers": [{"id": …}]}`, else None."""
        properties = self.resolved(self.schema).get("properties", {})
        answers = self.resolved(properties.get("answers", {}))
        if answers.get("type") != "array":
            return None
        answer = self.resolved(answers.get("items", {}))
        return answer if "id" in answer.get("properties", {}) else None

    def one(self, item: Item, schema: Schema | None = None) -> Any:
        """A value that fits the schema (the root's by default), made of the item's text."""
        walk = _Walk(self, item, zlib.crc32(item.digest.encode()))
        return walk.value(self.schema if schema is None else schema, "", "", 0)

    def resolved(self, schema: Schema) -> Schema:
        """The schema with its `$ref` and `allOf` put in place; the same object every time."""
        if "$ref" not in schema and "allOf" not in schema:
            return schema
        known = self._resolved.get(id(schema))
        if known is None:
            known = (schema, self._put_in_place(schema))
            self._resolved[id(schema)] = known
        return known[1]

    def _put_in_place(self, schema: Schema) -> Schema:
        for _ in range(_DEEPEST):
            if isinstance(schema.get("$ref"), str):
                target: Any = self.schema
                for part in schema["$ref"].removeprefix("#").strip("/").split("/"):
                    target = target.get(part, {}) if part else target
                schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
            elif isinstance(schema.get("allOf"), list):
                merged: dict[str, Any] = {}
                for part in schema["allOf"]:
                    merged |= self._put_in_place(part)
                schema = merged | {k: v for k, v in schema.items() if k != "allOf"}
            else:
                return schema
        return {}

    def labels(self, schema: Schema) -> dict[str, object]:
        """What each value of an enumeration means, as a person reads it → the value."""
        known = self._labels.get(id(schema))
        if known is None:
            known = (schema, _labels(schema, self.guidance))
            self._labels[id(schema)] = known
        return known[1]


@dataclass(slots=True)
class _Walk:
    """One pass through a schema for one item."""

    answerer: Answerer
    item: Item
    seed: int
    word: str = ""

    def value(self, schema: Schema, path: str, name: str, depth: int) -> Any:
        schema = self.answerer.resolved(schema)
        if depth > _DEEPEST:
            return None
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choices(schema, path, 1)[0]
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if alternatives:
            if all("const" in each for each in alternatives):
                return self._choices(schema, path, 1)[0]
            real = [each for each in alternatives if each.get("type") != "null"]
            return self.value((real or alternatives)[0], path, name, depth + 1)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        match kind:
            case "array":
                return self._array(schema, path, name, depth)
            case "string":
                return self._string(schema, path, name)
            case "integer":
                return self._integer(schema, path)
            case "number":
                return self._number(schema, path)
            case "boolean":
                return bool(self._draw(path) & 1)
            case "null":
                return None
            case _:
                return self._object(schema, path, depth)

    def _draw(self, path: str) -> int:
        return zlib.crc32(path.encode(), self.seed)

    def _object(self, schema: Schema, path: str, depth: int) -> dict[str, Any]:
        given = self.item.fields
        made = {
            name: given[name]
            if name in given
            else self.value(part, f"{path}.{name}", name, depth + 1)
            for name, part in schema.get("properties", {}).items()
        }
        return settled(made)

    def _array(self, schema: Schema, path: str, name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, 3))
        part = self.answerer.resolved(schema.get("items", {"type": "string"}))
        if _is_choice(part):
            count = min(max(1 + (self._draw(path) % 4 == 0), least), most)
            return self._choices(part, path, count)
        if "keyword" in name.lower() or "키워드" in name:
            return self._keywords(part, path, name, depth, least, min(most, 3))
        count = min(max(1 + self._draw(path) % 3, least), most)
        return [self.value(part, f"{path}[{i}]", name, depth + 1) for i in range(count)]

    def _keywords(
        self, part: Schema, path: str, name: str, depth: int, least: int, most: int
    ) -> list[Any]:
        count = max(min(1 + self._draw(path) % 3, most), least)
        found = korean_words.words(self.item.text, count)
        if len(found) < max(least, 1):
            found = [*found, *self._stand_in_words(least - len(found))]
        made: list[Any] = []
        outer = self.word
        for position, self.word in enumerate(found):
            made.append(self.value(part, f"{path}[{position}]", name, depth + 1))
        self.word = outer
        return made

    def _stand_in_words(self, count: int) -> list[str]:
        compact = "".join(unicodedata.normalize("NFC", self.item.text).split())[:10]
        return [compact or "내용없음", *(f"키워드{i}" for i in range(2, count + 1))][
            : max(count, 1)
        ]

    def _string(self, schema: Schema, path: str, name: str) -> str:
        most = schema.get("maxLength", 400)
        if "keyword" in name.lower() or "키워드" in name or name == "word":
            # A model names a thing; it does not quote a text without spaces to its end.
            most = min(most, _LONGEST_KEYWORD)
            if not self.word:
                found = korean_words.words(self.item.text, 1) or self._stand_in_words(1)
                return found[0][:most]
            return self.word[:most]
        if name in made_up_habits.SENTENCES:
            sentences = made_up_habits.SENTENCES[name]
            return f"{MARK} {sentences[self._draw(path) % len(sentences)]}"[:most]
        if "format" in schema:
            return _FORMATS.get(schema["format"], MARK)
        least = schema.get("minLength", 0)
        # Where strict schemas leave lengths out, they stand in words: (30~40자).
        said = _LENGTH_IN_WORDS.search(schema.get("description", ""))
        if said:
            least, most = int(said[1]), int(said[2])
        sentence = f"{MARK} {_SENTENCES[self._draw(path) % len(_SENTENCES)]}"
        while len(sentence) < least:
            sentence += " " + _SENTENCES[self._draw(path + sentence) % len(_SENTENCES)]
        return sentence[:most].strip().ljust(least, ".")

    def _integer(self, schema: Schema, path: str) -> int:
        low, high = _bounds(schema, 0, 100, 1)
        step = int(schema.get("multipleOf", 1)) or 1
        low, high = -(-int(low) // step), int(high) // step
        return (low + self._draw(path) % max(high - low + 1, 1)) * step

    def _number(self, schema: Schema, path: str) -> float:
        low, high = _bounds(schema, 0.0, 1.0, 0.001)
        return round(low + (high - low) * (self._draw(path) % 1001) / 1000, 3)

    def _choices(self, schema: Schema, path: str, count: int) -> list[Any]:
        labels = self.answerer.labels(schema)
        sources = [self.word, self.item.text] if self.word else [self.item.text]
        likely = korean_words.likely_labels(sources, labels)
        if not likely:
            values = list(labels.values())
            start = self._draw(path) % len(values)
            likely = values[start:] + values[:start]
        return likely[:count]


_LONGEST_KEYWORD = 30
_LENGTH_IN_WORDS = re.compile(r"(\d+)~(\d+)자")
_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "email": "made-up@example.invalid",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://made-up.invalid/",
}


def _is_choice(schema: Schema) -> bool:
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    return "enum" in schema or bool(alternatives and all("const" in each for each in alternatives))


def _bounds(schema: Schema, low: float, high: float, step: float) -> tuple[float, float]:
    if "minimum" in schema:
        low = schema["minimum"]
    elif "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    if "maximum" in schema:
        high = schema["maximum"]
    elif "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    else:
        high = max(low, high)
    return min(low, high), high


def _labels(schema: Schema, guidance: str) -> dict[str, object]:
    alternatives: Sequence[Schema] = schema.get("anyOf") or schema.get("oneOf") or ()
    if alternatives:
        return {
            str(each.get("description") or each.get("title") or each["const"]): each["const"]
            for each in alternatives
        }
    explained = f"{schema.get('description', '')}\n{guidance}"
    return {_label_of(value, explained): value for value in schema["enum"]}


def _label_of(value: object, explained: str) -> str:
    """The name beside a bare id, as in `3: 학생 생활`; the value itself when it is a name."""
    if not str(value).isdigit():
        return str(value)
    said = re.search(rf"(?<!\d){value}\s*[:=.)|\-]\s*\"?([^\n,;|\"]+)", explained)
    return said.group(1).strip() if said else str(value)


def schema_said_in(text: str) -> Schema | None:
    """Find the JSON schema that a prompt spells out, for models that have no other way.

    The first JSON object in the text that has `properties` or a `$ref`, wherever it stands.
    """
    decoder = json.JSONDecoder()
    position = text.find("{")
    while position >= 0:
        try:
            found, _ = decoder.raw_decode(text, position)
        except json.JSONDecodeError:
            found = None
        if isinstance(found, dict) and ("properties" in found or "$ref" in found):
            return found
        position = text.find("{", position + 1)
    return None
