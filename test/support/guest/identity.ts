// What tells two machines apart that began with the same memory.
import assert from 'node:assert/strict';
import type { GuestHandle } from '../machine/e2e.ts';

/** What tells a machine from all others. A clone that is like its template, or like another clone, in one of these is none of its own. */
const ROWS: Readonly<Record<string, string>> = {
  'random numbers': 'head -c 16 /dev/urandom | od -An -tx1',
  'random uuid': 'cat /proc/sys/kernel/random/uuid',
  'machine id': 'cat /etc/machine-id',
  'boot id': 'cat /proc/sys/kernel/random/boot_id',
  'ids of new lines of the journal':
    'logger -t row hello; journalctl --sync; journalctl -t row -n 1 -o export | grep -aE "^_(MACHINE|BOOT)_ID=" | sort',
  'host name': 'hostname; cat /proc/sys/kernel/hostname; grep -c "$(hostname).vm" /etc/hosts',
  'host key': 'cat /etc/ssh/ssh_host_ed25519_key.pub',
  'MAC address': 'cat /sys/class/net/eth0/address',
  addresses: 'ip -br addr show dev eth0 | tr -s " "',
  'own route': 'ip route show dev eth0 | grep -w src',
};

/** @returns how a machine answers in each row */
export async function rowsOf(vm: GuestHandle): Promise<Record<string, string>> {
  const rows: [string, string][] = [];
  for (const [row, script] of Object.entries(ROWS)) rows.push([row, await vm.sh(script)]);
  return Object.fromEntries(rows);
}

/** @param originId of the machine that both were made of */
export function assertDifferent(one: Record<string, string>, two: Record<string, string>, originId: string): void {
  for (const row of Object.keys(ROWS)) {
    assert.ok(one[row] !== undefined && one[row] !== '', row);
    assert.notEqual(one[row], two[row], row);
    assert.ok(!one[row]?.includes(originId), row);
  }
}
