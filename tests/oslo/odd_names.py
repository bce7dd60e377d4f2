"""Publishes casts whose AMQP properties hold names that are not UTF-8, which RabbitMQ takes.

    odd_names.py HOST:PORT VIRTUAL_HOST EXCHANGE ROUTING_KEY BODY

Every message has BODY and its odd bytes in another place.
"""

import sys

import amqp

# Half a surrogate pair: py-amqp writes it as three bytes that are no UTF-8.
ODD = "\udcff"


def main():
    address, virtual_host, exchange, routing_key, body = sys.argv[1:]
    deep = {}
    for _ in range(3000):
        deep = {"n": deep}
    with amqp.Connection(address, virtual_host=virtual_host) as connection:
        channel = connection.channel()
        for properties in (
            {"content_type": "application/json", "message_id": ODD},
            {"content_type": "application/json", "type": ODD, "application_headers": {ODD: ODD}},
            {"content_type": "application/json", "application_headers": {"outer": {ODD: [{ODD: 1}]}}},
            {"content_type": ODD},
        ):
            channel.basic_publish(amqp.Message(body, **properties), exchange, routing_key)
        sys.setrecursionlimit(100_000)
        message = amqp.Message(body, content_type="application/json", application_headers=deep)
        channel.basic_publish(message, exchange, routing_key)


if __name__ == "__main__":
    main()
