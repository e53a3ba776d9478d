"""What runs inside a unit's walls in place of its program, and says what it could do. No imports but Python's own.

Each try must fail; the line says how it ended. Run by test_sandbox.py in the unit itself, with
nothing changed but ExecStart=.
"""

import ctypes
import glob
import json
import os
import socket
import sys

LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(action):
    """Return "did it", or what stopped it."""
    try:
        found = action()
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError as error:  # resource's way to say EPERM
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "did it" if found is None else f"did it: {found}"


def call(name, *arguments):
    """Call a function of the C library; raise OSError as errno says."""
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def write(path):
    with open(path, "a") as file:
        file.write("x")
    os.unlink(path)


def read(path):
    with open(path, "rb") as file:
        file.read(1)


def connect_tcp():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as to:
        to.settimeout(2)
        to.connect(("127.0.0.1", 9))


def write_and_run():
    # PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS
    LIBC.mmap.restype = ctypes.c_void_p
    if LIBC.mmap(None, 4096, 7, 0x22, -1, 0) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def camera():
    devices = glob.glob("/dev/video*") or ["/dev/lamppost-test-camera"]
    for device in devices:
        read(device)


def signal_others():
    others = [
        int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in (os.getpid(), os.getppid())
    ]
    if not others:
        raise OSError(3, "no other process is seen")
    for other in others:
        os.kill(other, 0)
    return others


def core():
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


BOTH = {
    "write to /etc": lambda: write("/etc/lamppost/x"),
    "write to its own program": lambda: write("/opt/lamppost/bin/x"),
    "write to /tmp of everybody": lambda: read("/tmp/left-by-the-test"),
    "read /root": lambda: os.listdir("/root"),
    "read /etc/shadow": lambda: read("/etc/shadow"),
    "open a disk": lambda: read("/dev/test-disk"),
    "open /dev/mem": lambda: read("/dev/mem"),
    "see other processes": signal_others,
    "become root": lambda: os.setuid(0),
    "mount something": lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
    "make a user namespace": lambda: call("unshare", 0x10000000),
    "load code that it wrote": write_and_run,
    "set the clock": lambda: call("settimeofday", ctypes.create_string_buffer(16), None),
    "trace a process": lambda: call("ptrace", 16, os.getppid(), None, None),
    "load a kernel module": lambda: (
        call("syscall", 313, -1, b"", 0) if os.uname().machine == "x86_64" else call("syscall", 273, -1, b"", 0)
    ),
    "open a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "ask the kernel over netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "allow itself a core dump": core,
    "change the kernel's settings": lambda: write("/proc/sys/kernel/core_pattern"),
}
RECORDER = {
    "open an IPv4 socket": connect_tcp,
    "open an IPv6 socket": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close(),
    "see a network interface": lambda: (
        (_ for _ in ()).throw(OSError(0, "only " + ", ".join(os.listdir("/sys/class/net"))))
        if set(os.listdir("/sys/class/net")) <= {"lo"}
        else os.listdir("/sys/class/net")
    ),
    "read the device credential": lambda: read("/var/lib/lamppost/link/credential.pem"),
}
LINK = {
    "read a camera": camera,
    "read the key that signs the log": lambda: read("/var/lib/lamppost/state/keys/log.pem"),
    "read the policy in force": lambda: os.listdir("/var/lib/lamppost/state/policy"),
    "write a segment": lambda: write("/var/lib/lamppost/footage/x"),
    "remove a segment": lambda: os.unlink(sorted(glob.glob("/var/lib/lamppost/footage/*/*/*/*.age"))[0]),
    "write to the log": lambda: write("/var/lib/lamppost/state/log/x"),
    "write a verdict": lambda: write("/var/lib/lamppost/outbox/x"),
}
# What must go: a wall without a door is a fault, too.
RECORDER_MAY = {
    "write a segment": lambda: write("/var/lib/lamppost/footage/x"),
    "take a bundle": lambda: write("/var/lib/lamppost/inbox/x"),
    "write a status": lambda: write("/run/lamppost/x"),
    "open a device of the camera's kind": lambda: read("/dev/lamppost-test-camera"),
}
LINK_MAY = {
    "read a segment": lambda: read(sorted(glob.glob("/var/lib/lamppost/footage/*/*/*/*.age"))[0]),
    "read the log": lambda: read(sorted(glob.glob("/var/lib/lamppost/state/log/events-*"))[0]),
    "read the status": lambda: read("/run/lamppost/status.json"),
    "leave a bundle": lambda: write("/var/lib/lamppost/inbox/x"),
    "open an IPv4 socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
}

if __name__ == "__main__":
    half, out = sys.argv[1:]
    must_not = {**BOTH, **(RECORDER if half == "recorder" else LINK)}
    may = RECORDER_MAY if half == "recorder" else LINK_MAY
    told = {
        "must_not": {words: attempt(action) for words, action in must_not.items()},
        "may": {words: attempt(action) for words, action in may.items()},
    }
    with open(out, "w") as file:
        json.dump(told, file, indent=2)
