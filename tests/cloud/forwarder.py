#!/usr/bin/env python3
"""What a correct forwarder does, in sixty lines: takes requests to a topic from a queue of its own, and gives them to the fallback.

    python forwarder.py HOST:PORT [EXCHANGE TOPIC QUEUE FALLBACK]

Body, properties and routing key stay as they are, so that the fallback answers the caller itself. A request is acknowledged when the
broker has confirmed its copy, and never before; who is killed in between leaves a second copy, with the same `_unique_id`. The queue is
not called like the topic: queues have no exchange in their names, so that one is the fallback's. Fanouts are not forwarded: their
exchange, TOPIC_fanout, has no control exchange in its name either, and the fallback gets them itself.

What a product has to do besides, and this does not: answer the caller where nobody serves the fallback, and count down `expiration`.
"""

import collections
import sys
import time

import amqp

from settings import LEGACY

QUEUE = "forwarder.conductor"
MARK = "x-forwarded-by"


def connect(address):
    connection = amqp.Connection(address, userid="guest", password="guest", heartbeat=10)
    connection.connect()
    # Bodies are bytes, whatever their encoding says.
    channel = amqp.Channel(connection, auto_decode=False)
    channel.open()
    return connection, channel


def forward(channel, message, fallback):
    """Gives one request on, and settles it."""
    headers = message.properties.get("application_headers") or {}
    if MARK in headers:
        raise SystemExit(f"forwarder: a request came back; does {fallback} lead to the queue that it comes from?")
    returned = []
    channel.events["basic_return"] = {lambda *why: returned.append(why)}
    copy = amqp.Message(message.body, **message.properties)
    copy.properties["application_headers"] = headers | {MARK: QUEUE}
    channel.basic_publish_confirm(copy, fallback, message.delivery_info["routing_key"], mandatory=True)
    if returned:
        print(f"forwarder: nobody takes {message.delivery_info['routing_key']} at {fallback}; it waits", flush=True)
        time.sleep(1)
        channel.basic_reject(message.delivery_tag, requeue=True)
    else:
        channel.basic_ack(message.delivery_tag)


def main(address, exchange="nova", topic="conductor", queue=QUEUE, fallback=LEGACY):
    connection, channel = connect(address)
    channel.confirm_select()
    for name in (exchange, fallback):
        channel.exchange_declare(name, "topic", durable=False, auto_delete=False)
    channel.queue_declare(queue, durable=False, auto_delete=False)
    # The topic, and every server of it by its name.
    channel.queue_bind(queue, exchange, f"{topic}.#")
    channel.basic_qos(0, 64, False)
    # To wait for a confirmation is to read what comes, and that may be more requests: each is given on when it is its turn, or
    # one waits for its confirmation below all that came after it, and is given on twice when we are killed meanwhile.
    waiting = collections.deque()
    channel.basic_consume(queue, callback=waiting.append)
    while True:
        try:
            while waiting:
                forward(channel, waiting.popleft(), fallback)
            connection.drain_events(timeout=2)
        except TimeoutError:
            connection.send_heartbeat()


if __name__ == "__main__":
    main(*sys.argv[1:])
