"""The reference's own reading of messages, to hold the host's against it.

One JSON object a line comes in: `body` (base64), and what there is of `content_type`, `compression`, and `ours`: the same
message as the host has read and written it again, or null where the host rejects it. One line goes out for each:
`accepted`, and `same`, whether both readings are the same message; null where there are not two.

The reading is kombu's `Message` and oslo.messaging's `RabbitMessage`, with nothing between.
"""

import base64
import datetime
import decimal
import json
import math
import sys
import uuid

from kombu.message import Message
from oslo_messaging._drivers import common as rpc_common
from oslo_messaging._drivers import impl_rabbit

# What the host keeps of a message; it ignores other keys, as the reference does.
NAMES = ("method", "namespace", "version")
KEYS = NAMES + ("args", "_msg_id", "_reply_q", "_timeout", "_unique_id")


def read(body, content_type, compression):
    """The message as the reference's server gets it; an exception is a rejection."""
    headers = {"compression": compression} if compression is not None else {}
    raw = Message(body=body, content_type=content_type, headers=headers)
    message = impl_rabbit.RabbitMessage(raw)
    # `dict()` makes an empty message of an empty list or text, and members of pairs. That is chance, and not followed.
    inner = rpc_common.deserialize_msg(raw.payload)
    if not isinstance(inner, dict) and raw.body:
        raise ValueError("not an object")
    return dict(message)


def whole(text):
    """Text without halves of surrogate pairs, as the host holds names."""
    return "".join("\ufffd" if 0xD800 <= ord(letter) < 0xE000 else letter for letter in text)


def comparable(value):
    """A value in which the host's few deliberate changes make no difference."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: comparable(value) for key, value in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, bytes):
        return value.decode() if value.isascii() else base64.b64encode(value).decode()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, decimal.Decimal)):
        return str(value)
    return value


def kept(message):
    """What the host keeps."""
    names = {}
    for key, value in message.items():
        if key in KEYS or key.startswith("_context_"):
            is_name = key in NAMES and isinstance(value, str)
            names[whole(key)] = whole(value) if is_name else comparable(value)
    return names


def judge(line):
    """The answer to one line."""
    try:
        theirs = read(
            base64.b64decode(line["body"]), line.get("content_type", "application/json"), line.get("compression")
        )
    except Exception as error:
        return {"accepted": False, "same": None, "reason": f"{type(error).__name__}: {error}"[:200]}
    if line.get("ours") is None:
        return {"accepted": True, "same": None}
    ours = read(line["ours"].encode(), "application/json", None)
    # Reading has the interpreter's own limit; comparing what was read needs more.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * limit)
    try:
        return {"accepted": True, "same": kept(ours) == kept(theirs)}
    finally:
        sys.setrecursionlimit(limit)


def main():
    for line in sys.stdin:
        print(json.dumps(judge(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
