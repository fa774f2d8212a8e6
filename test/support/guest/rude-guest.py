"""Sends 20000 malformed packets through the uplink. Usage: rude-guest.py INTERFACE OWN-ADDRESS; needs raw sockets."""
import random
import socket
import struct
import sys

interface, own = sys.argv[1:]
dice = random.Random(7)
sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0x0800)
# The bridge's MAC; without meaning on a TUN device.
there = (interface, 0x0800, 0, 1, b"\x02\x62\x67\x00\x00\x01")
# Nowhere, the host's loopback, a name server, a metadata service, and (in a lab) an outside that exists.
targets = ["192.0.2.1", "127.0.0.1", "0.0.0.0", "169.254.213.53", "169.254.169.254", "255.255.255.255", "10.213.0.1"]
if own == "127.0.0.1":
    targets.remove("192.0.2.1")


def checksum(header):
    total = sum(struct.unpack("!%dH" % (len(header) // 2), header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


for _ in range(20000):
    words = dice.choice([5, 5, 5, 6, 15, 4])
    protocol = dice.choice([6, 6, 17, 17, 1, 47, dice.randrange(256)])
    body = bytearray(dice.randbytes(dice.choice([0, 3, 7, 8, 19, 20, 21, 40, 200, 1400])))
    if protocol == 6 and len(body) > 13:
        body[13] = dice.choice([2, 2, 2, 18, 4, 0, dice.randrange(256)])
        body[2:4] = struct.pack("!H", 7099)
    if protocol == 17 and len(body) > 6:
        body[2:4] = struct.pack("!H", dice.choice([53, 7098]))
        body[4:6] = struct.pack("!H", dice.choice([len(body), 0, 7, 8, 65535]))
    if protocol == 1 and body:
        body[0] = dice.choice([8, 8, 0, 3, 13])
    length = max(0, words * 4 + len(body) + dice.choice([0, 0, 0, 0, -3, 5, 60000]))
    fields = (64 + words, 0, length & 0xFFFF, dice.randrange(65536), dice.choice([0, 0, 0, 0x2000, 5]), 64, protocol, 0)
    header = struct.pack("!BBHHHBBH", *fields) + socket.inet_aton(own) + socket.inet_aton(dice.choice(targets))
    header = (header + dice.randbytes(40))[: words * 4]
    if len(header) >= 20:
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    try:
        sock.sendto(header + bytes(body), there)
    except OSError:
        # A full queue or a packet that the kernel itself refuses.
        pass
