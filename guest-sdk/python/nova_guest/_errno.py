"""The numbers in an `OSError`: the component's C library has WASI's, the caller's machine has Linux's.

WASI's 2 is what Linux calls 13. A number that this Python made is translated by its name; a number that stands in the handler's
source is what the author knows from Linux, and stays. To tell them apart, the constants of the module `errno` are marked
here, when the component is built. They keep their values, so that `error.errno == errno.ENOENT` is true in the handler.
"""

import errno
import os


class Number(int):
    """A constant of the module `errno`."""


for _name in dir(errno):
    if _name.startswith("E"):
        setattr(errno, _name, Number(getattr(errno, _name)))

#: Linux's numbers, by their names: asm-generic/errno-base.h and errno.h. WASI's ENOTCAPABLE is EPERM, which it is closest to.
_LINUX = {
    "E2BIG": 7, "EACCES": 13, "EADDRINUSE": 98, "EADDRNOTAVAIL": 99, "EAFNOSUPPORT": 97, "EAGAIN": 11, "EALREADY": 114,
    "EBADF": 9, "EBADMSG": 74, "EBUSY": 16, "ECANCELED": 125, "ECHILD": 10, "ECONNABORTED": 103, "ECONNREFUSED": 111,
    "ECONNRESET": 104, "EDEADLK": 35, "EDESTADDRREQ": 89, "EDOM": 33, "EDQUOT": 122, "EEXIST": 17, "EFAULT": 14,
    "EFBIG": 27, "EHOSTUNREACH": 113, "EIDRM": 43, "EILSEQ": 84, "EINPROGRESS": 115, "EINTR": 4, "EINVAL": 22, "EIO": 5,
    "EISCONN": 106, "EISDIR": 21, "ELOOP": 40, "EMFILE": 24, "EMLINK": 31, "EMSGSIZE": 90, "EMULTIHOP": 72,
    "ENAMETOOLONG": 36, "ENETDOWN": 100, "ENETRESET": 102, "ENETUNREACH": 101, "ENFILE": 23, "ENOBUFS": 105,
    "ENODEV": 19, "ENOENT": 2, "ENOEXEC": 8, "ENOLCK": 37, "ENOLINK": 67, "ENOMEM": 12, "ENOMSG": 42,
    "ENOPROTOOPT": 92, "ENOSPC": 28, "ENOSYS": 38, "ENOTCAPABLE": 1, "ENOTCONN": 107, "ENOTDIR": 20, "ENOTEMPTY": 39,
    "ENOTRECOVERABLE": 131, "ENOTSOCK": 88, "ENOTSUP": 95, "ENOTTY": 25, "ENXIO": 6, "EOPNOTSUPP": 95,
    "EOVERFLOW": 75, "EOWNERDEAD": 130, "EPERM": 1, "EPIPE": 32, "EPROTO": 71, "EPROTONOSUPPORT": 93,
    "EPROTOTYPE": 91, "ERANGE": 34, "EROFS": 30, "ESPIPE": 29, "ESRCH": 3, "ESTALE": 116, "ETIMEDOUT": 110,
    "ETXTBSY": 26, "EWOULDBLOCK": 11, "EXDEV": 18,
}

#: The class that Python on Linux makes of `OSError(number, …)`; of any other number it is `OSError`.
_CLASSES = {
    1: "PermissionError", 2: "FileNotFoundError", 3: "ProcessLookupError", 4: "InterruptedError", 10: "ChildProcessError",
    11: "BlockingIOError", 13: "PermissionError", 17: "FileExistsError", 20: "NotADirectoryError",
    21: "IsADirectoryError", 32: "BrokenPipeError", 103: "ConnectionAbortedError", 104: "ConnectionResetError",
    108: "BrokenPipeError", 110: "TimeoutError", 111: "ConnectionRefusedError", 114: "BlockingIOError",
    115: "BlockingIOError",
}


def on_linux(error: BaseException, args: tuple):
    """What Python on Linux calls an error: its class, its arguments and its words.

    The class and the words are None where they are the same there.
    """
    if not issubclass(type(error), OSError) or len(args) < 2 or type(args[0]) not in (int, Number):
        return None, args, None
    number, words = args[:2]
    if type(number) is Number or (type(words) is str and words == _strerror(number)):
        there = _LINUX.get(errno.errorcode.get(number), int(number))
        made = OSError(there, words, error.filename, None, error.filename2)
        own = type(error).__str__ is not OSError.__str__
        return None, (there, *args[1:]), None if own else OSError.__str__(made)
    # Python's own constructor chose the class, by WASI's numbers.
    if type(error) is type(OSError(number, "")):
        return _CLASSES.get(number, "OSError"), args, None
    return None, args, None


def _strerror(number):
    try:
        return os.strerror(number)
    except (OverflowError, ValueError):
        return None
