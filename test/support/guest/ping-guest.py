"""Sends one echo request and prints the data of the answer. Usage: ping-guest.py ADDRESS; needs raw sockets."""
import socket
import struct
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
sock.settimeout(5)
data = b"are you there?"
request = struct.pack("!BBHHH", 8, 0, 0, 77, 5) + data
total = sum(struct.unpack("!%dH" % (len(request) // 2), request))
while total >> 16:
    total = (total & 0xFFFF) + (total >> 16)
sock.sendto(request[:2] + struct.pack("!H", ~total & 0xFFFF) + request[4:], (sys.argv[1], 0))
while True:
    answer, peer = sock.recvfrom(2000)
    kind, _, _, identifier, sequence = struct.unpack("!BBHHH", answer[20:28])
    if (kind, identifier, sequence) == (0, 77, 5):
        print(peer[0], answer[28:].decode())
        break
