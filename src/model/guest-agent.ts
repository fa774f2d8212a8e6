// Where the guest agent is reached (docs/agent-protocol.md). The C programs have the same values in native/common/constants.h.

/** Its port in a guest that has a vsock device. */
export const AGENT_VSOCK_PORT = 5123;
/** The host's vsock port to which the guest announces its end. */
export const LAST_WORD_VSOCK_PORT = 5124;
/** Prefix of the names of virtio-serial ports in a guest without vsock; the number of the port, from 0, follows. */
export const AGENT_SERIAL_PORT = 'banger.agent.';
/** Each port serves one channel at a time. */
export const AGENT_SERIAL_PORTS = 16;
/** How many connections over vsock the agent serves at once. */
export const AGENT_VSOCK_WORKERS = 256;
