"""What differs between two instances, and what is alike in all of them: their memory is made when the component is built."""

import os
import random
import secrets
import uuid

import nova

_at_build = random.SystemRandom().random()


@nova.method(version="1.3")
def fresh():
    return {
        "secrets": secrets.token_hex(16),
        "SystemRandom": random.SystemRandom().random(),
        "urandom": os.urandom(16).hex(),
        "uuid4": str(uuid.uuid4()),
        "random": random.random(),
        "own Random": random.Random().random(),
        "hash": hash("x"),
        "module": _at_build,
    }
