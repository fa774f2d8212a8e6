// Where the guest agent is reached (docs/agent-protocol.md). The programs in C have the same as native/common/constants.h.

/** Its port in a guest that has a vsock device. */
export const AGENT_VSOCK_PORT = 5123;
/** The host's vsock port that hears how the machine is about to end. */
export const LAST_WORD_VSOCK_PORT = 5124;
/** Name of a virtio serial port in a guest without one; the number of the port, from 0, follows. */
export const AGENT_SERIAL_PORT = 'banger.agent.';
/** Each serves one channel at a time. */
export const AGENT_SERIAL_PORTS = 16;
/** Connections over vsock that it serves at once. */
export const AGENT_VSOCK_WORKERS = 256;
