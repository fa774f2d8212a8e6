/**
 * The namespaces in which packages are installed and file systems filled. Mounts end with them, and no process outlives them or the
 * program that started them (PR_SET_PDEATHSIG), so even a killed build leaves nothing. For an ordinary user, its own id becomes root and the range of /etc/subuid the other ids (unshare(1), util-linux
 * 2.38): owners in the image come out right, and the output belongs to the user.
 */
export function inNamespace(userId: number, argv: readonly string[]): string[] {
  const user = userId === 0 ? [] : ['--user', '--map-root-user', '--map-auto'];
  return [
    'setpriv',
    '--pdeathsig',
    'KILL',
    'unshare',
    ...user,
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    '--',
    ...argv,
  ];
}
