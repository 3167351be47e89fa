#!/usr/bin/env python3
"""Carries Ethernet frames between two TAP devices, badly: for kernels without the netem queueing discipline.

Makes two TAP devices with the given names and prints "ready". Whoever started it moves them into their namespaces.
It ends when its standard input does, and with it go the devices, so nothing is left behind by a parent that was killed.
Its last line is what it did, in frames of both directions: {"carried": ..., "lost": ..., "duplicated": ...,
"overtaken": ...}.

    relay.py NAME_A NAME_B '{"delayMs": 25, "jitterMs": 5, "lossPercent": 1, "duplicatePercent": 0,
                             "reorderPercent": 0, "seed": 1}'

Every frame but ARP (without which nothing would start) is, in each direction and independently: lost, or delayed by
delayMs plus or minus up to jitterMs and kept in order; with reorderPercent it skips the delay and so overtakes those
before it; with duplicatePercent it comes twice.
"""
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
ETHERTYPE_ARP = b"\x08\x06"
# Frames taken from one device before the other has its turn
BATCH = 128
# What a link holds at most; beyond it frames are dropped, as a full router would
MAX_HELD = 20_000


def open_tap(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


class Direction:
    """Frames from one device to the other."""

    def __init__(self, source, target, settings, seed):
        self.source = source
        self.target = target
        self.delay = settings.get("delayMs", 0) / 1000
        self.jitter = settings.get("jitterMs", 0) / 1000
        self.loss = settings.get("lossPercent", 0) / 100
        self.duplicate = settings.get("duplicatePercent", 0) / 100
        self.reorder = settings.get("reorderPercent", 0) / 100
        self.chance = random.Random(seed)
        self.latest = 0.0
        self.held = []
        self.count = 0
        self.did = {"carried": 0, "lost": 0, "duplicated": 0, "overtaken": 0}

    def take(self):
        """Reads what has arrived and decides what becomes of it."""
        for _ in range(BATCH):
            try:
                frame = os.read(self.source, 65_536)
            except BlockingIOError:
                return
            except OSError:
                return  # the device is down for now
            now = time.monotonic()
            if frame[12:14] == ETHERTYPE_ARP:
                self.hold(now + self.delay, frame)
                continue
            if self.chance.random() < self.loss:
                self.did["lost"] += 1
                continue
            if self.chance.random() < self.reorder:
                due = now
                self.did["overtaken"] += min(len(self.held), 1)
            else:
                due = max(now + self.delay + self.chance.uniform(-self.jitter, self.jitter), self.latest)
                self.latest = due
            self.hold(due, frame)
            if self.chance.random() < self.duplicate:
                self.did["duplicated"] += 1
                self.hold(due, frame)

    def hold(self, due, frame):
        if len(self.held) < MAX_HELD:
            self.count += 1  # breaks ties: frames of one moment stay in order
            heapq.heappush(self.held, (due, self.count, frame))

    def give(self, now):
        """Writes what is due; returns when the next frame is, or None."""
        while self.held and self.held[0][0] <= now:
            frame = heapq.heappop(self.held)[2]
            try:
                os.write(self.target, frame)
                self.did["carried"] += 1
            except OSError:
                pass  # down, or its queue is full: lost, as on a wire
        return self.held[0][0] if self.held else None


def main():
    name_a, name_b, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    a, b = open_tap(name_a), open_tap(name_b)
    seed = settings.get("seed", 1)
    directions = {a: Direction(a, b, settings, seed), b: Direction(b, a, settings, seed + 1)}
    print("ready", flush=True)
    stdin = sys.stdin.fileno()
    poll = select.poll()
    for descriptor in (a, b, stdin):
        poll.register(descriptor, select.POLLIN)
    due = None
    while True:
        # whole milliseconds, rounded up: a frame is late by one at most
        wait = None if due is None else max(0, int((due - time.monotonic()) * 1000 + 0.999))
        for descriptor, _ in poll.poll(wait):
            if descriptor == stdin:
                total = {key: sum(d.did[key] for d in directions.values()) for key in directions[a].did}
                print(json.dumps(total), flush=True)
                return
            directions[descriptor].take()
        now = time.monotonic()
        due = min((next_due for d in directions.values() if (next_due := d.give(now)) is not None), default=None)


main()
