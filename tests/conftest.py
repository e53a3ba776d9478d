"""How hypothesis runs, the same examples every time, never judged by the machine's speed; and what many tests share.

`HYPOTHESIS_PROFILE=thorough pytest tests/unit/test_policy_laws.py` draws 10,000 examples a law.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# A busy CI machine generates slowly; that says nothing about the code.
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("default", derandomize=True, deadline=None, max_examples=50, suppress_health_check=QUIET)
settings.register_profile("thorough", deadline=None, max_examples=10_000, suppress_health_check=QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


# Of a module, which makes its vaults once; only for those that ask: the tests of scrypt itself do not.
@pytest.fixture(scope="module")
def cheap_scrypt() -> Iterator[None]:
    from provisioning.authority import vault as vaults  # noqa: PLC0415 - most tests have no vault

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vaults, "SCRYPT_LOG_N", 10)
        yield


# Of a module, not of the session: while Playwright runs, its event loop does too, and no other test could start one.
@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    from tests.fakes.browser import started_chromium  # noqa: PLC0415 - only tests of pages need Playwright

    with started_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    from tests.fakes.browser import opened_page  # noqa: PLC0415 - as above

    with opened_page(chromium) as opened:
        yield opened
