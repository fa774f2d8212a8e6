import { DNS_FORWARD_ADDRESS, UPLINK_ADDRESS, UPLINK_GATEWAY, UPLINK_PREFIX_LENGTH } from '../../../model/network.ts';
import { UPLINK_NAME } from './ruleset.ts';

/**
 * The argv of pasta without the pid of the process whose namespace it joins; every flag exists from version 2023-03 on
 * (passt(1)). Nothing of the host's loopback is reachable: no mapped gateway (`--no-map-gw`) and no forwarded port.
 * @param pidPath where pasta writes its pid
 * @param asRoot pasta would else become `nobody`, which may not join root's namespace
 */
export function pastaArgv(pidPath: string, asRoot: boolean): string[] {
  return [
    'pasta',
    '--foreground',
    '--quiet',
    '--ipv4-only',
    '--config-net',
    ...['--ns-ifname', UPLINK_NAME],
    ...['--address', UPLINK_ADDRESS, '--netmask', String(UPLINK_PREFIX_LENGTH), '--gateway', UPLINK_GATEWAY],
    ...['--dns-forward', DNS_FORWARD_ADDRESS],
    '--no-map-gw',
    ...['--tcp-ports', 'none', '--udp-ports', 'none', '--tcp-ns', 'none', '--udp-ns', 'none'],
    ...['--pid', pidPath],
    ...(asRoot ? ['--runas', '0'] : []),
  ];
}
