"""Session ids: what counts as one, and how sessions without an id in a database get one."""

import hashlib
import uuid

from iblnm_core.errors import ConfigurationError


def is_eid(text: str) -> bool:
    """Whether a text is a session id: a UUID of version 3 or 4, in its canonical spelling."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return False
    # ONE refuses other versions as session ids
    return str(parsed) == text and parsed.version in {3, 4}


def checked_eid(text: str) -> str:
    """Return the id, or refuse it: ids become file names and partition keys.

    Raises
    ------
    ConfigurationError
        When the text is not a session id.
    """
    if not is_eid(text):
        raise ConfigurationError(f"{text!r} is not a session id; expected a UUID such as {uuid_from('an example')}")
    return text


def uuid_from(name: str) -> str:
    """Return a UUID (version 4 in its bits) that is a pure function of a name."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))
