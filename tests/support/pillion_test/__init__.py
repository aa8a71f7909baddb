"""What the tests from the outside are made of: launchers, origins and clients with control over every byte.

Only the standard library is used, with one exception: the HTTP/2 peers stand on Debian's python3-h2, which is pure
Python and is therefore found also by an interpreter that is not Debian's own.
"""

import sys

_DEBIAN = "/usr/lib/python3/dist-packages"
try:
    import h2  # noqa: F401
except ImportError:
    sys.path.append(_DEBIAN)

from .launch import Proxy, find_binary, wait_for  # noqa: E402,F401
from .origin import (Answer, Close, Echo, Hang, HttpOrigin, Raw, Reset, Upgrade)  # noqa: E402,F401
from .tcp import DeadPort, TcpServer  # noqa: E402,F401
from .wire import Http1Client, Response, connect, reset_socket  # noqa: E402,F401
