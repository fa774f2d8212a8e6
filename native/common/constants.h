// Made of the files that it names by tools/native-constants.ts; `make native-constants` makes it anew.
#ifndef COMMON_CONSTANTS_H
#define COMMON_CONSTANTS_H

// src/model/network.ts
#define GUEST_PREFIX "10.213"
#define GUEST_NETWORK 0x0ad50000u
#define GUEST_OCTETS "10", "213"
#define GUEST_PREFIX_LENGTH 16
#define BRIDGE_ADDRESS "10.213.0.1"
#define BRIDGE_ADDRESS_NUMBER 0x0ad50001u
#define DNS_FORWARD_ADDRESS "169.254.213.53"
#define LOOPBACK_NETWORK 0x7fd50000u
#define LOOPBACK_OCTETS "127", "213"
#define MAC_PREFIX "02:62:67"
#define MAC_PREFIX_BYTES 0x02, 0x62, 0x67
#define FIRST_NETWORK_INDEX 2
#define LAST_NETWORK_INDEX 65279
#define FORBIDDEN_DESTINATIONS "0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3"
#define FORBIDDEN_NETWORKS {0x00000000u, 8}, {0x7f000000u, 8}, {0xa9fe0000u, 16}, {0xe0000000u, 3}
#define HOST_BRIDGE "bgr-bridge"
#define PRIVATE_BRIDGE "br0"
#define PRIVATE_UPLINK "uplink0"
#define OUTBOUND_PORT 1
#define OUTBOUND_MARK 1

// src/model/vm.ts
#define HOST_NAME_PREFIX "bgr-"

// src/model/guest-agent.ts
#define AGENT_VSOCK_PORT 5123
#define LAST_WORD_VSOCK_PORT 5124
#define AGENT_SERIAL_PORT "banger.agent."
#define AGENT_SERIAL_PORTS 16
#define AGENT_VSOCK_WORKERS 256

// src/model/limits.ts
#define LIMIT_HEAD_BYTES 16384
#define LIMIT_JSON_BYTES 13631488
#define LIMIT_JSON_VALUES 262144
#define VMM_OPEN_FILES 2048
#define LIMIT_DISK_BYTES UINT64_C(17592186044416)

// src/model/settings/resources.ts
#define LIMIT_VCPUS 32

// src/lib/frames.ts
#define FRAME_HEADER_BYTES 4
#define FRAME_MAX_PAYLOAD_BYTES 65535
#define FRAME_TYPES FRAME_DATA = 0, FRAME_STDERR = 1, FRAME_EOF = 2, FRAME_RESIZE = 3, FRAME_SIGNAL = 4, FRAME_EXIT = 5, FRAME_CLOSE = 6

// src/model/root-helper.ts
#define HELPER_CONFIG_PATH "/etc/banger/helper.conf"
#define HELPER_RUN_DIRECTORY "/run/banger"
#define HELPER_DEVICE_DIRECTORY "/dev/banger"
#define JAIL_PROGRAMS "/usr/local/lib/banger-jail"
#define JAIL_DIRECTORY "/var/lib/banger-jail"

#endif
