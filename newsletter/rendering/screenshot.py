"""Screenshots of a message's HTML part in a browser, for template authors."""

import shutil

from newsletter.errors import UserError

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def screenshot(html: str, width: int, dark: bool) -> bytes:
    """Take a screenshot (PNG) of a page, as wide as requested and as high as the page. Nothing is loaded from the
    network.

    Args:
        width: in pixels.

    Raises:
        UserError: playwright or Chromium is missing.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise UserError("--format png needs playwright; run 'pip install newsletter[pictures]'") from None
    browser = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    try:
        with sync_playwright() as tools:
            # As root, for example in a container, Chromium runs only without its sandbox.
            opened = tools.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = opened.new_page(
                viewport={"width": width, "height": 600},
                color_scheme="dark" if dark else "light",
                java_script_enabled=False,
                offline=True,
            )
            page.set_content(html)
            taken = page.screenshot(full_page=True)
            opened.close()
    except Error as error:
        what = str(error).partition("\n")[0]
        raise UserError(f"--format png: {what}; install Chromium, for example with 'apt install chromium'") from None
    return bytes(taken)
