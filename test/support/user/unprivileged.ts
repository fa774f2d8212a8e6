// Runs commands as an ordinary user if the tests run as root, because banger must not need root.

/** An account that exists only inside the private mount namespaces of its commands. */
export type TestUser = { uid: number; name: string; home: string; tun: boolean };

/** Above the ids that distributions assign to users and services, and below the ranges of subordinate ids. */
const TEST_UID = 61_213;

/**
 * @param home must be writable by the user
 * @param options.tun whether it may open /dev/net/tun; default yes
 * @returns the user that e2e tests run as
 */
export function testUser(home: string, options: { tun?: boolean } = {}): TestUser {
  return { uid: TEST_UID, name: 'bgr-test', home, tun: options.tun ?? true };
}

/**
 * Opens /dev/net/tun to everybody, as on desktops, or to nobody. Adds the user to passwd (ssh refuses a uid without a name) and to the users
 * with a range of ids. Only the command sees this, because the mount namespace is private.
 */
const SCRIPT = `
uid=$1 name=$2 home=$3 tun_mode=$4
shift 4
mount -t tmpfs -o mode=0755 none /mnt
if [ -e /dev/net/tun ]; then
  mknod /mnt/tun c 10 200
  chmod "$tun_mode" /mnt/tun
  mount --bind /mnt/tun /dev/net/tun
fi
{ cat /etc/passwd; echo "$name:x:$uid:$uid::$home:/bin/sh"; } >/mnt/passwd
{ cat /etc/group; echo "$name:x:$uid:"; } >/mnt/group
mount --bind /mnt/passwd /etc/passwd
mount --bind /mnt/group /etc/group
# The range of ids that adduser assigns.
for file in subuid subgid; do
  if [ -e "/etc/$file" ]; then
    echo "$name:300000:65536" >"/mnt/$file"
    mount --bind "/mnt/$file" "/etc/$file"
  fi
done
exec setpriv --reuid="$uid" --regid="$uid" --clear-groups env HOME="$home" USER="$name" LOGNAME="$name" "$@"
`;

/**
 * @param argv the command
 * @returns argv that runs it as that user if we are root, otherwise `argv` itself; it execs, so pid and status are the command's
 */
export function asUser(user: TestUser, argv: readonly string[]): string[] {
  if (process.getuid?.() !== 0) return [...argv];
  return [
    ...['unshare', '--mount', '--propagation', 'private', '--'],
    ...['sh', '-ec', SCRIPT, 'sh', String(user.uid), user.name, user.home, user.tun ? '0666' : '0600', ...argv],
  ];
}
