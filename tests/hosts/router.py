"""A network between namespaces that takes its time, for kernels without `tc netem`.

Every namespace named on the command line gets a TUN device `line0` with the address 10.77.1.N. Packets between them come
through here, wait for DELAY milliseconds, and are dropped with probability LOSS (a fixed seed: the same packets in the same order
are lost every time). Says `ready` when all devices are up, and ends when its standard input does. A line there may say
`cut A B`: from now on every packet between these two of them is dropped, and nobody is told; or `heal`: none is any more.

    router.py DELAY_MS LOSS NAMESPACE...
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
MTU = 9000


def line(number, namespace):
    """The descriptor of a device that lives in a namespace."""
    name = "line%d" % number
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", namespace], check=True)
    inside = ["ip", "-n", namespace]
    subprocess.run(inside + ["addr", "add", "10.77.1.%d/24" % number, "dev", name], check=True)
    subprocess.run(inside + ["link", "set", name, "mtu", str(MTU), "up"], check=True)
    return device


def main():
    delay, loss = float(sys.argv[1]) / 1000, float(sys.argv[2])
    chance = random.Random(7)
    lines = {number: line(number, namespace) for number, namespace in enumerate(sys.argv[3:], start=1)}
    print("ready", flush=True)
    waiting, count = [], 0
    cut, told = set(), b""
    passed = dropped = 0
    while True:
        rest = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([sys.stdin, *lines.values()], [], [], rest)
        for source in readable:
            if source is sys.stdin:
                words = os.read(sys.stdin.fileno(), 1000)
                if not words:
                    print("passed %d dropped %d" % (passed, dropped), flush=True)
                    return
                *whole, told = (told + words).split(b"\n")
                for said in whole:
                    if said == b"heal":
                        cut.clear()
                    else:
                        cut.add(frozenset(int(number) for number in said.split()[1:]))
                continue
            try:
                packet = os.read(source, MTU + 100)
            except BlockingIOError:
                continue
            # IPv4 alone: what the kernels say to each other in IPv6 goes nowhere.
            target = lines.get(packet[19]) if packet[0] >> 4 == 4 and packet[16:19] == bytes([10, 77, 1]) else None
            if target is None:
                continue
            if chance.random() < loss or frozenset((packet[15], packet[19])) in cut:
                dropped += 1
                continue
            count += 1
            heapq.heappush(waiting, (time.monotonic() + delay, count, target, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(waiting)
            try:
                os.write(target, packet)
                passed += 1
            except OSError:
                dropped += 1


main()
