// Certificates of a fictitious company: an authority, and servers with its certificates.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Authority = {
  /** PEM. */
  certificate: string;
  certificatePath: string;
  /** @param names such as `DNS:mirror.example` and `IP:127.0.0.1` */
  server(names: readonly string[]): { key: string; cert: string };
};

/** @param directory of its files; must exist @param name of the authority */
export function makeAuthority(directory: string, name = 'Example Company CA'): Authority {
  const at = (file: string): string => join(directory, file);
  const openssl = (...argv: string[]): void => void execFileSync('openssl', argv, { stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca.crt'), '-days', '3650', '-subj', `/CN=${name}`);
  return {
    certificate: readFileSync(at('ca.crt'), 'utf8'),
    certificatePath: at('ca.crt'),
    server(names) {
      writeFileSync(at('names'), `subjectAltName=${names.join(',')}\n`);
      openssl('req', ...key, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=server');
      const signed = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '3650', '-extfile', at('names')];
      openssl('x509', '-req', '-in', at('server.csr'), '-out', at('server.crt'), ...signed);
      return { key: readFileSync(at('server.key'), 'utf8'), cert: readFileSync(at('server.crt'), 'utf8') };
    },
  };
}
