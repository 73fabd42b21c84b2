"""A number is the passage's number only with its unit, its bound and all its digits."""

from __future__ import annotations

import pytest

from agents.verify import RuleVerifier
from agents.verify.numbers import agrees, bounds_differ, quantities
from agents.verify.units import unit_at


@pytest.mark.parametrize(
    ("claimed", "given_", "expected"),
    [
        ("5 mm", "5 cm", False),
        ("50 mm", "5 cm", True),
        ("1.5 kg", "1,500 g", True),
        ("36 months", "3 years", True),
        ("twelve months", "1 year", True),
        ("6 weeks", "6 months", False),
        ("14 days", "2 weeks", True),
        ("5-year", "5 years", True),
        ("5 MW", "5 mW", False),
        ("16GB", "16 MB", False),
        ("180 °C", "180 degrees Celsius", True),
        ("180 °C", "180 °F", False),
        ("5 km/h", "5 km", False),
        ("5 kg", "5 pounds", False),
        ("£5", "5 pounds", True),
        ("5 kg", "5", True),  # a table has its unit elsewhere
        ("£5m", "£5 million", True),
        ("5 Prozent", "5 %", True),
        ("10,000", "10-K", False),  # of "Form 10-K"
        ("10,000", "10", False),  # … nor is it 10.000
        ("5,300", "5.3", False),
        ("1,250", "1.4", False),
        ("5.000", "5", False),  # a German five thousand
        ("5.000", "5000", True),
        ("5.000%", "5%", True),
        ("1.234", "1,234", True),
        ("30 months", "€30 a month", False),
        ("30 days", "$30", False),
        ("5 kg", "£5", False),
        ("5 lb", "5 pounds", True),  # which may be money or mass
        ("30 euros", "30", True),
    ],
)
def test_numbers_with_units(claimed: str, given_: str, expected: bool) -> None:
    (a,), (b,) = quantities(claimed), quantities(given_)
    assert agrees(a, b) is expected
    assert agrees(b, a) is expected


@pytest.mark.parametrize("text", ["5 in 2022", "5 people", "5 m²", "5 tons", "5% of", "5 Apples"])
def test_what_is_no_known_unit_is_none(text: str) -> None:
    assert unit_at(text, 1) is None


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("at least 3 bar", "at most 3 bar", True),
        ("p < 0.05", "p > 0.05", True),
        ("must not exceed 3 bar", "no more than 3 bar", False),
        ("must not exceed 3 bar", "exceeds 3 bar", True),
        ("not less than 3 bar", "at least 3 bar", False),
        ("mindestens 40 Grad", "höchstens 40 Grad", True),
        ("up to $5", "more than $5", True),
        ("at least 3 bar", "3 bar", False),
    ],
)
def test_the_least_is_not_the_most(one: str, other: str, differ: bool) -> None:
    (a,), (b,) = quantities(one), quantities(other)
    assert bounds_differ(a, b) is differ


@pytest.mark.parametrize(
    ("passage", "claim", "reason"),
    [
        ("The pump weighs 5 lb without its cable.", "The pump weighs 5 kg without its cable.", "says 5 lb, not 5 kg"),
        (
            "The warranty lasts 12 months from the day of purchase.",
            "The warranty lasts 12 years from the day of purchase.",
            "says 12 months, not 12 years",
        ),
        ("Take 50 mg of the medicine twice a day.", "Take 50 g of the medicine twice a day.", "says 50 mg, not 50 g"),
        (
            "The pressure must be at least 3 bar.",
            "The pressure must be less than 3 bar.",
            "says at least 3 bar, not at most 3",
        ),
        (
            "The pressure must not exceed 3 bar.",
            "The pressure must be at least 3 bar.",
            "says at most 3 bar, not at least 3",
        ),
        (
            "As stated in our Form 10-K, we employed 12,000 people at the end of 2022.",
            "We employed 10,000 people at the end of 2022.",
            "not 10,000",
        ),
        (
            "Copies are made by 3 servers every night and kept for 90 days.",
            "Copies are made by servers every night and kept for 30 days.",
            "the passage says 90, not 30",
        ),
        ("We have 5 sites and employ 4,200 people.", "We employ 5,000 people.", "5,000 is not in the passage"),
    ],
)
def test_another_unit_bound_or_number_is_not_supported(passage: str, claim: str, reason: str) -> None:
    verdict = RuleVerifier().check(claim, ["Manual\n\n" + passage])
    assert verdict.label in ("contradicted", "partial", "unsupported"), verdict
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The machine weighs 1,500 kg when it is empty.", "When it is empty, the machine weighs 1500 kg."),
        ("The firm has 1,200 employees in Oslo.", "In Oslo the firm has 1200 employees."),
        ("The belt lasts 36 months in daily use.", "In daily use the belt lasts 3 years."),
    ],
)
def test_the_same_written_otherwise_is_not_missing(passage: str, claim: str) -> None:
    verdict = RuleVerifier().check(claim, ["Manual\n\n" + passage])
    assert "is not in the passage" not in verdict.reason, verdict
    assert verdict.label in ("supported", "partial"), verdict


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The oil pressure must not fall below 2 bar.", "The oil pressure must be at least 2 bar."),
        ("The room temperature should not fall below 5 °C.", "The room temperature should be at least 5 °C."),
        ("Revenue must not be under $5 million.", "Revenue must be at least $5 million."),
        ("Applicants must not be under 18 years old.", "Applicants must be at least 18 years old."),
        ("The pressure must not be above 5 bar.", "The pressure is at most 5 bar."),
        ("The total fee doesn't exceed 500 dollars.", "The total fee is at most 500 dollars."),
        ("The total fee never can exceed 500 dollars.", "The total fee is at most 500 dollars."),
        ("Der Druck darf nicht weniger als 5 bar betragen.", "Der Druck muss mindestens 5 bar betragen."),
        ("Der Druck darf nicht über 5 bar liegen.", "Der Druck darf höchstens 5 bar betragen."),
        ("The options vest over 4 years.", "The options vest over at most 4 years."),
        ("The speed limit is 55 mph on this road.", "The speed limit is 55 miles per hour on this road."),
        ("The speed limit is 55 miles per hour on this road.", "The speed limit is 55 mph on this road."),
        ("The car reaches a speed of 180 km per hour.", "The car reaches a speed of 180 km/h."),
        ("Das Auto fährt 100 km pro Stunde.", "Das Auto fährt 100 km/h."),
        ("The fridge needs 200 kWh a year.", "The fridge needs 200 kilowatt-hours a year."),
        ("The plant made 20 megawatt hours in May.", "The plant made 20 MWh in May."),
        ("Tighten the bolts to 25 lb-ft.", "Tighten the bolts to 25 ft-lb."),
    ],
)
def test_a_denied_bound_and_a_unit_spelt_out_are_read_as_what_they_say(passage: str, claim: str) -> None:
    verdict = RuleVerifier().check(claim, ["Manual\n\n" + passage])
    assert verdict.label == "supported", verdict


def test_what_a_denial_far_off_denies_is_not_guessed() -> None:
    (found,) = quantities("not all of the guests who stayed more than 5 nights")
    assert found.bound == ""


def test_a_year_is_no_number_of_things() -> None:
    verdict = RuleVerifier().check("The hall was built in 1200.", ["Guide\n\nThe hall was built for 1,200 guests."])
    assert verdict.label != "supported", verdict
