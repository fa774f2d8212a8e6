import { readdirSync, readlinkSync } from 'node:fs';

/** Where users tell the helper what it may open for a VM (native/helper/claims.c). */
const CLAIMS = '/run/banger/users';

/**
 * A jail clears the environment of a VMM and hides its directories, so the claims of its VM show to whom it belongs.
 * @param commandLine words, each followed by a zero byte
 * @returns whether it is a jailed VMM whose files are in one of these directories
 */
export function isJailedVmmFor(commandLine: string, directories: readonly string[]): boolean {
  const id = /^[^\0]*firecracker\0(?:.*\0)?--id[=\0]bgr-([0-9a-f]{8})\0/.exec(commandLine)?.[1];
  return id !== undefined && claimsOf(id).some((target) => directories.some((directory) => target.startsWith(`${directory}/`)));
}

/** @returns the files that the claims of a VM name, of any user */
function claimsOf(id: string): string[] {
  return namesIn(CLAIMS).flatMap((uid) => {
    const directory = `${CLAIMS}/${uid}/${id}`;
    return namesIn(directory).map((name) => linkTarget(`${directory}/${name}`));
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // It does not exist, or belongs to another user.
    return [];
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // It was removed meanwhile.
    return '';
  }
}
