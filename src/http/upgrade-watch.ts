// Detects from the guest's first bytes whether it accepts an upgrade (RFC 9110 §7.8).

const MAX_BYTES = 64 * 1024;
/** Interim replies (100, 103) come before it; some servers end lines without CR. */
const INTERIM_HEAD = /^HTTP\/1\.1 1(?!01)\d\d[ \r\n](?:[^]*?)\r?\n\r?\n/;
const PART = /^(?:H|HT|HTT|HTTP|HTTP\/|HTTP\/1|HTTP\/1\.|HTTP\/1\.1|HTTP\/1\.1 \d{0,3})$/;

export class UpgradeWatch {
  #said = '';

  /** @returns undefined while it has not decided */
  hear(chunk: Buffer): 'upgraded' | 'declined' | undefined {
    this.#said += chunk.toString('latin1', 0, MAX_BYTES);
    for (let interim = INTERIM_HEAD.exec(this.#said); interim !== null; interim = INTERIM_HEAD.exec(this.#said)) {
      this.#said = this.#said.slice(interim[0].length);
    }
    if (/^HTTP\/1\.1 101[ \r\n]/.test(this.#said)) return 'upgraded';
    const isOpen = this.#said === '' || PART.test(this.#said) || /^HTTP\/1\.1 1(?!01)\d\d[ \r\n]/.test(this.#said);
    return isOpen && this.#said.length < MAX_BYTES ? undefined : 'declined';
  }
}
