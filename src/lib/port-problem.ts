/** @returns why a port cannot be bound, for people, by the errno's name; undefined for an errno without an explanation here */
export function portProblemOf(errno: string | undefined, address: string, port: number): string | undefined {
  if (errno === 'EADDRINUSE') return `another program uses ${address}:${port}`;
  if (errno === 'EACCES') return `port ${port} is not open to ordinary users`;
  if (errno === 'EADDRNOTAVAIL') return `${address} is no address of this host`;
  return undefined;
}
