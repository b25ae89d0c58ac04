from collections.abc import Iterator

import pytest
from browser import Browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests; starting one takes longer than most of them."""
    with Browser(tmp_path_factory.mktemp("chromium") / "profile") as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser with an empty page of the usual size, and nothing said yet."""
    chromium.call("Emulation.clearDeviceMetricsOverride")
    chromium.call("Page.navigate", url="about:blank")
    chromium.run("1")  # what the last page still had to say is read, and forgotten
    chromium.errors, chromium.requests = [], []
    yield chromium
    chromium.call("Page.navigate", url="about:blank")  # a page that moves would keep a core busy beside later tests
