"""Sealing: one key per purpose, several secrets in turn."""

import pytest

from portal.settings import Secret
from portal.storage.sealing import Sealer, derive_key

OLD, NEW = Secret("o" * 43), Secret("n" * 43)


def test_what_was_sealed_opens() -> None:
    sealer = Sealer((NEW,), purpose="id-tokens")

    assert sealer.open(sealer.seal(b"value")) == b"value"


def test_sealing_twice_gives_different_text() -> None:
    sealer = Sealer((NEW,), purpose="id-tokens")
    one, other = sealer.seal(b"value"), sealer.seal(b"value")

    assert one != other
    assert "value" not in one


def test_another_purpose_does_not_open() -> None:
    assert Sealer((NEW,), purpose="b").open(Sealer((NEW,), purpose="a").seal(b"value")) is None


def test_a_key_differs_by_purpose_and_by_secret() -> None:
    keys = {derive_key(secret, purpose) for secret in (OLD, NEW) for purpose in ("a", "b")}

    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


def test_values_of_an_older_key_open_while_it_is_listed() -> None:
    sealed = Sealer((OLD,), purpose="a").seal(b"value")

    assert Sealer((NEW, OLD), purpose="a").open(sealed) == b"value"
    assert Sealer((NEW,), purpose="a").open(sealed) is None


def test_the_first_secret_seals() -> None:
    sealed = Sealer((NEW, OLD), purpose="a").seal(b"value")

    assert Sealer((OLD,), purpose="a").open(sealed) is None


@pytest.mark.parametrize("sealed", ["", "nonsense", "\udce9", "é" * 200, "gAAAAA==", "." * 10_000])
def test_a_value_that_was_never_sealed_does_not_open(sealed: str) -> None:
    assert Sealer((NEW,), purpose="a").open(sealed) is None


def test_a_changed_value_does_not_open() -> None:
    sealer = Sealer((NEW,), purpose="a")
    sealed = sealer.seal(b"value")

    assert sealer.open(sealed[:-10] + "A" * 10) is None


def test_sealing_without_a_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="secret"):
        Sealer((), purpose="a")
