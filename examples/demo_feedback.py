"""Invented feedback on an invented assistant: the help desk of Kestrel, a town's cargo bikes.

Whoever passes the same numbers gets the same entries, in every process: so the demonstration can
compare what a store gives back with what was sent, without the two ever exchanging an entry.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from feedback_store import FeedbackEntry, Metadata

FIRST_DAY = datetime(2025, 6, 1, tzinfo=UTC)
DAYS = 150


class Topic(NamedTuple):
    """What people ask about.

    Attributes:
        questions: how they put it; ``{}`` is a station, a day or a number.
        answer: what the assistant says.
        sources: kind and title of what the answer relies on.
        hard: how often the answer is wrong, 0 to 1.
    """

    questions: tuple[str, ...]
    answer: str
    sources: tuple[tuple[str, str], ...]
    hard: float


TOPICS = (
    Topic(
        (
            "How do I unlock a bike when my phone is dead?",
            "No battery left at {}. Can I still take a bike?",
            "Handy leer, wie komme ich an ein Rad?",
        ),
        "Hold your Kestrel card to the reader above the rear wheel until it beeps twice. Without "
        "a card, the kiosk of a station prints a code that is good for ten minutes.",
        (("manual", "Unlocking without the app"), ("faq", "My phone is dead")),
        0.15,
    ),
    Topic(
        (
            "What does a whole {} cost?",
            "Is there a day ticket for {}?",
            "¿Cuánto cuesta el bono de un {}?",
        ),
        "A day pass is 14.00 and covers any number of rides of up to three hours. Longer rides "
        "cost 1.50 for every further half hour.",
        (("tariff", "Prices from January"),),
        0.55,
    ),
    Topic(
        (
            "Can two children ride in the box?",
            "May I take my dog along on {}?",
            "How much weight does the box carry?",
        ),
        "The box carries 80 kg. Two children up to seven years sit on the bench with the belts "
        "closed; a dog needs the floor hook. Never carry both at once.",
        (("manual", "Loading the box"), ("manual", "Children")),
        0.2,
    ),
    Topic(
        (
            "I left a bag in the box at {}, what now?",
            "Lost and found?",
            "Ich habe meinen Helm an der Station {} vergessen.",
        ),
        "Lost things are kept for four weeks at the depot in Mill Street. Tell us the station and "
        "the hour, and we look in the bike before the next ride.",
        (("faq", "Lost property"),),
        0.3,
    ),
    Topic(
        (
            "The app says that my ride never ended at {}.",
            "I was charged for {} hours but returned the bike!",
            "Return not recognised, please help",
        ),
        "Push the bike into the dock until the lamp turns green; a ride ends with the lamp. If it "
        "stayed red, send us the number on the frame and we correct the bill.",
        (("forum", "Red lamp at the dock"), ("faq", "My ride did not end")),
        0.6,
    ),
    Topic(
        (
            "Is the motor limited to 25 km/h?",
            "How far does the battery go, {} km?",
            "バッテリーはどのくらいもちますか? 🔋",
        ),
        "The motor helps up to 25 km/h. A full battery is good for 60 km, about 40 km in winter or "
        "with a full box. Below 10 % the app leads you to the nearest charging dock.",
        (("manual", "Motor and battery"),),
        0.1,
    ),
    Topic(
        (
            "Can I book a bike for {}?",
            "Reserve two bikes at {} for Saturday",
            "How long is a bike kept for me?",
        ),
        "A bike can be reserved up to one day ahead and is kept for fifteen minutes. Two bikes "
        "need two accounts, or a group account.",
        (("tariff", "Group accounts"),),
        0.4,
    ),
    Topic(
        (
            "Tell me a joke about bicycles",
            "What is the capital of Peru?",
            "Are you a human?",
        ),
        "I can help with Kestrel's cargo bikes: unlocking, prices, loading, returning.",
        (),
        0.5,
    ),
)

FILLERS = ("Mill Street", "Old Harbour", "the station", "Sunday", "weekend", "3", "Station 12")

COMPLAINTS = {
    "inaccurate": ("That is not the price on my bill.", "Wrong, the kiosk here has no printer."),
    "outdated": ("These were last year's rules.", "The depot has moved to Canal Road."),
    "too_verbose": ("Three sentences would have done.", "I stood in the rain reading this."),
    "missing_steps": ("And where is the reader?", "What do I do when the lamp stays red?"),
    "off_topic": ("I asked something else.", "I wanted a person, not this."),
}
PRAISE = ("Worked at once, thanks!", "Clear and short.", "Danke, genau das. 👍")
CHANNELS = ("app", "app", "app", "web", "kiosk")


class Step(NamedTuple):
    """What one user does: gives feedback, and perhaps comes back to explain it.

    Attributes:
        entry: the feedback.
        explanation: what they write later, if anything.
        issues: what they tick then.
    """

    entry: FeedbackEntry
    explanation: str | None
    issues: tuple[str, ...]


def steps(worker: int, count: int, seed: int) -> list[Step]:
    """Return what the users of one worker process do."""
    # Repeatable, which is what this must be; secret it need not be.
    luck = random.Random(f"{seed}/{worker}")  # noqa: S311  # as said above
    return [_step(luck, f"m-{worker}-{number:04}") for number in range(count)]


def _step(luck: random.Random, message_id: str) -> Step:
    day = luck.randrange(DAYS)
    topic = luck.choice(TOPICS)
    # In the third month a better model came: later answers are wrong less often.
    model = "heron-2" if day > DAYS * 0.45 else "heron-1"
    hard = topic.hard * (0.6 if model == "heron-2" else 1.1)
    rating = _rating(luck, hard)
    entry = FeedbackEntry(
        message_id=message_id,
        question=luck.choice(topic.questions).format(luck.choice(FILLERS)),
        answer=topic.answer,
        rating=rating,
        timestamp=FIRST_DAY + timedelta(days=day, milliseconds=luck.randrange(86_400_000)),
        sources=tuple(_sources(topic)),
        metadata=Metadata(
            response_time=round(luck.lognormvariate(0.4, 0.5), 3),
            token_count=len(topic.answer) // 4 + luck.randrange(12),
            conversation_id=f"c-{luck.randrange(100_000):05}",
            issues=_issues(luck, rating),
            extra={"model": model},
        ),
        user_id=f"rider-{luck.randrange(900):03}",
        annotator_kind="HUMAN",
        extra={"channel": luck.choice(CHANNELS)},
    )
    return Step(entry, *_afterthought(luck, rating))


def _rating(luck: random.Random, hard: float) -> float | None:
    """Return a thumb, now and then stars, and for some who only wrote, nothing."""
    draw = luck.random()
    if draw < 0.04:  # noqa: PLR2004  # a share, as those below
        return None
    if draw < 0.12:  # noqa: PLR2004  # as above
        return luck.choice((0.25, 0.5, 0.75))
    return 0 if luck.random() < hard else 1


def _issues(luck: random.Random, rating: float | None) -> tuple[str, ...]:
    if rating is None or rating >= 0.5 or luck.random() < 0.3:  # noqa: PLR2004  # the middle of the scale; a share
        return ()
    return tuple(luck.sample(sorted(COMPLAINTS), luck.choice((1, 1, 1, 2))))


def _afterthought(luck: random.Random, rating: float | None) -> tuple[str | None, tuple[str, ...]]:
    if luck.random() > 0.2:  # noqa: PLR2004  # four of five never come back
        return None, ()
    if rating is not None and rating > 0.5:  # noqa: PLR2004  # the middle of the scale
        return luck.choice(PRAISE), ()
    issue = luck.choice(sorted(COMPLAINTS))
    return luck.choice(COMPLAINTS[issue]), (issue,)


def _sources(topic: Topic) -> Iterator[Mapping[str, Any]]:
    for kind, title in topic.sources:
        page = title.lower().replace(" ", "-")
        yield {"type": kind, "title": title, "url": f"https://kestrel.example/{kind}/{page}"}
