"""A client of nova-api."""

import json
import urllib.error
import urllib.request

from parts import Failed

# Microversion 2.90: names of servers may be anything, and `networks: none` is allowed since 2.37.
VERSION = "compute 2.90"


def is_answered(url):
    """Whether an HTTP server answers, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=60).read()
        return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


class Api:
    def __init__(self, url):
        self.url = url + "/v2.1"

    def ask(self, method, path, body=None):
        """Asks, and returns what is answered, or `None` where that is empty; fails where it is no success."""
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("content-type", "application/json")
        request.add_header("OpenStack-API-Version", VERSION)
        try:
            text = urllib.request.urlopen(request, timeout=120).read()
        except urllib.error.HTTPError as error:
            raise Failed(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from error
        return json.loads(text) if text else None
