"""A browser that does what it is told: one JSON object a line in, one out.

Run by tests/harness/page.rs in target/venv-page, which tests/setup.sh makes. The browser is Debian's chromium, without a
window. What goes wrong in a page (an error of a script, something that the page's policy forbids, a dialog that a script
opens, a question to another host) is remembered, and told with `problems`.
"""

import json
import os
import sys
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 60_000

# What a screen reader says of the element that has the focus, as far as labels and texts say it.
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return "";
  return one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent.trim() ?? one.textContent.trim();
}"""

# Whether what should be there is: everything that a selector means, with this in its text, and visible.
SHOWN = """([selector, text]) => [...document.querySelectorAll(selector)].some(
  (one) => one.checkVisibility() && (one.innerText ?? one.textContent).includes(text))"""


class Browser:
    def __init__(self, playwright):
        # As root there is no sandbox to be had. Nothing is asked of the network that a test does not ask.
        arguments = ["--disable-background-networking", "--disable-component-update"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        self.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        self.page = None
        self.found = []

    def open(self, url, width=1280, height=900, scheme="light", motion="reduce"):
        if self.page:
            self.page.context.close()
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion, ignore_https_errors=True
        )
        context.set_default_timeout(PATIENCE_MS)
        self.page = context.new_page()
        origin = "/".join(url.split("/")[:3])
        self.page.on("pageerror", lambda error: self.found.append(f"script: {error}"))
        self.page.on("dialog", lambda dialog: (self.found.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("console", self.heard)
        self.page.on(
            "request", lambda one: one.url.startswith((origin, "data:")) or self.found.append(f"elsewhere: {one.url}")
        )
        self.page.goto(url)

    def heard(self, message):
        # That a host is away, or wants a log-in, is said by the page itself.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.found.append(f"console: {message.text}")

    def shown(self, selector, text):
        self.page.wait_for_function(SHOWN, arg=[selector, text])

    def gone(self, selector, text):
        self.page.wait_for_function(f"(wanted) => !({SHOWN})(wanted)", arg=[selector, text])

    def title(self, text):
        self.page.wait_for_function("(text) => document.title.includes(text)", arg=text)

    def text(self, selector):
        return self.page.inner_text(selector)

    def evaluate(self, script):
        return self.page.evaluate(script)

    def click(self, selector):
        self.page.click(selector)

    def fill(self, selector, text):
        self.page.fill(selector, text)

    def choose(self, selector, file):
        self.page.set_input_files(selector, file)

    def choose_option(self, selector, label):
        self.page.select_option(selector, label=label)

    def press(self, key):
        self.page.keyboard.press(key)

    def focused(self):
        return self.page.evaluate(FOCUSED)

    def tab_to(self, label):
        """Goes there as somebody does who has no mouse."""
        passed = []
        for _ in range(200):
            self.page.keyboard.press("Tab")
            passed.append(self.focused())
            if passed[-1] == label:
                return len(passed)
        raise AssertionError(f"no way to {label}: {passed}")

    def axe(self):
        """What keeps people out, by the rules of WCAG 2.1 A and AA and good practice."""
        result = Axe().run(self.page).response
        told = []
        for one in result["violations"]:
            for node in one["nodes"]:
                told.append(f"{one['id']}: {one['help']}: {node['html'][:200]}: {node.get('failureSummary', '')[:300]}")
        return {"violations": told, "passes": len(result["passes"])}

    def shot(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.page.screenshot(path=path)

    def problems(self):
        return self.found


def main():
    with sync_playwright() as playwright:
        browser = Browser(playwright)
        print(json.dumps({"result": "ready"}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            began = time.monotonic()
            try:
                result = getattr(browser, asked["do"])(*asked.get("with", []), **asked.get("named", {}))
                answer = {"result": result}
            except Exception as error:  # The story says what it means.
                answer = {"error": f"{asked['do']} after {time.monotonic() - began:.1f} s: {error}"}
            print(json.dumps(answer), flush=True)


main()
