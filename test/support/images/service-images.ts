// Twenty services in typical container images, with the answer of each to a question over the network.
import type { Recipe } from './image-builder.ts';

export type ServiceImage = {
  name: string;
  recipe: Recipe;
  /** The TCP port of the guest that is asked. */
  port: number;
  /** What the test sends; nothing to services that speak first. */
  ask?: string;
  answer: RegExp;
  /** Default 256M. */
  memory?: string;
  /** Arguments of `banger vm` that are run while it answers, with their output. */
  says?: readonly (readonly [argv: readonly string[], text: RegExp])[];
};

const HTTP = 'GET / HTTP/1.0\r\n\r\n';
const words = (...argv: string[]): string[] => ['--entrypoint', JSON.stringify(argv)];
/** `CMD` with a list of words, as buildah reads it. */
const cmd = (line: string): string[] => ['--cmd', line];

/** Names that no shell accepts, although images have them. */
const VARIABLES = ['discovery.type=single-node', 'my-var=a b # c', 'PLAIN=1'];
const hasAll = (lines: readonly string[]): RegExp => new RegExp(lines.map((line) => `(?=[^]*^${line}$)`).join(''), 'm');

const MUSL_SERVER = `#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>
int main(void) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7000)};
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(s, (void *)&a, sizeof a) || listen(s, 5)) return 1;
  for (int c; (c = accept(s, 0, 0)) >= 0; close(c)) if (write(c, "from musl\\n", 10) < 0) continue;
}
`;
const GO_SERVER = `package main
import ("io"; "net/http")
func main() {
  http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "from go") })
  panic(http.ListenAndServe(":8080", nil))
}
`;
const RUST_SERVER = `use std::io::Write;
fn main() {
    let server = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
    for stream in server.incoming() { let _ = stream.unwrap().write_all(b"from rust"); }
}
`;
const HAPROXY = `defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend web
  bind :8081
  http-request return status 200 content-type text/plain string "from haproxy"
`;
const PHP_SITE = `server {
  listen 80;
  root /srv/site;
  location ~ \\.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.2-fpm.sock; }
}
`;
/** Writes a file with this text, for a shell. */
const file = (path: string, text: string): string => `cat > ${path} <<'END'\n${text}END\n`;
const LIBRARIES = `for f in $(ldd /usr/bin/memcached | grep -o '/[^ ]*'); do mkdir -p /out$(dirname $f); cp -L $f /out$f; done`;
const POSTGRES = [
  '-D',
  '/var/lib/postgresql/15/main',
  '-c',
  'config_file=/etc/postgresql/15/main/postgresql.conf',
  '-c',
  'listen_addresses=*',
];

export const SERVICE_IMAGES: readonly ServiceImage[] = [
  {
    name: 'python',
    recipe: { packages: ['python3'], config: words('python3', '-m', 'http.server', '8080') },
    ...{ port: 8080, ask: HTTP, answer: /SimpleHTTP.*Python/ },
  },
  {
    name: 'node',
    recipe: {
      packages: ['nodejs'],
      files: { 'app/server.js': `require('http').createServer((q, s) => s.end('from node ' + process.cwd())).listen(3000);\n` },
      config: ['--workingdir', '/app', ...cmd('node server.js')],
    },
    ...{ port: 3000, ask: HTTP, answer: /from node \/app/, memory: '512M' },
  },
  {
    name: 'ruby',
    recipe: {
      packages: ['ruby'],
      files: {
        'app/server.rb': 'require \'socket\'\ns = TCPServer.new(4567)\nloop { c = s.accept; c.puts "from ruby #{Process.uid}"; c.close }\n',
      },
      config: ['--user', '1234:5678', ...cmd('ruby /app/server.rb')],
    },
    ...{ port: 4567, answer: /from ruby 1234/ },
  },
  {
    name: 'nginx',
    recipe: { packages: ['nginx-light'], config: ['--stop-signal', 'SIGQUIT', '--port', '80', ...cmd('nginx -g "daemon off;"')] },
    ...{ port: 80, ask: HTTP, answer: /200 OK[^]*nginx/ },
  },
  {
    name: 'apache',
    // Its own script, which writes below /run.
    recipe: { packages: ['apache2'], config: ['--stop-signal', 'SIGWINCH', ...cmd('/usr/sbin/apache2ctl -D FOREGROUND')] },
    ...{ port: 80, ask: HTTP, answer: /200 OK[^]*Apache/ },
  },
  {
    name: 'haproxy',
    recipe: {
      packages: ['haproxy'],
      files: { 'etc/haproxy/haproxy.cfg': HAPROXY },
      config: ['--stop-signal', 'SIGUSR1', ...cmd('haproxy -f /etc/haproxy/haproxy.cfg -W -db')],
    },
    ...{ port: 8081, ask: HTTP, answer: /from haproxy/ },
  },
  {
    name: 'redis',
    recipe: {
      packages: ['redis-server'],
      config: [
        '--user',
        'redis',
        '--workingdir',
        '/var/lib/redis',
        '--volume',
        '/data/redis',
        ...words('redis-server', '--bind', '0.0.0.0'),
        ...cmd('--protected-mode no'),
      ],
    },
    ...{ port: 6379, ask: 'PING\r\n', answer: /^\+PONG/ },
  },
  {
    name: 'memcached',
    recipe: { packages: ['memcached'], config: ['--user', 'memcache', ...cmd('memcached -l 0.0.0.0')] },
    ...{ port: 11_211, ask: 'version\r\n', answer: /^VERSION 1/ },
  },
  {
    name: 'postgres',
    recipe: {
      packages: ['postgresql'],
      config: ['--user', 'postgres', '--stop-signal', 'SIGINT', ...words('/usr/lib/postgresql/15/bin/postgres', ...POSTGRES)],
    },
    // A request for TLS; the answer is one letter.
    ...{ port: 5432, ask: '\u0000\u0000\u0000\u0008\u0004\u00d2\u0016\u002f', answer: /^[NS]/, memory: '512M' },
  },
  {
    name: 'mariadb',
    recipe: {
      packages: ['mariadb-server'],
      config: [
        '--user',
        'mysql',
        ...words('mariadbd', '--bind-address=0.0.0.0', '--socket=/var/lib/mysql/socket', '--pid-file=/var/lib/mysql/pid'),
      ],
    },
    ...{ port: 3306, answer: /MariaDB|not allowed to connect/, memory: '512M' },
  },
  {
    name: 'php',
    recipe: {
      packages: ['php-fpm', 'nginx-light'],
      files: {
        'etc/nginx/sites-enabled/default': PHP_SITE,
        'srv/site/index.php': '<?php echo "from php ", PHP_MAJOR_VERSION;',
        'srv/start': '#!/bin/sh\nphp-fpm8.2 -D && exec nginx -g "daemon off;"\n',
      },
      config: words('/srv/start'),
    },
    ...{ port: 80, ask: 'GET /index.php HTTP/1.0\r\n\r\n', answer: /from php 8/ },
  },
  {
    name: 'sshd',
    // Images of sshd make this directory; elsewhere its systemd unit does.
    recipe: {
      packages: ['openssh-server'],
      files: { 'run/sshd/made': '' },
      config: [...VARIABLES.flatMap((one) => ['--env', one]), ...cmd('/usr/sbin/sshd -D -p 2222')],
    },
    ...{ port: 2222, answer: /^SSH-2\.0-OpenSSH/ },
    says: [
      [['exec', 'sshd', '--', 'env'], hasAll(VARIABLES)],
      [['ssh', 'sshd', '--', 'env'], hasAll(VARIABLES)],
    ],
  },
  {
    name: 'dnsmasq',
    recipe: { packages: ['dnsmasq-base'], config: cmd('dnsmasq -k -p 5353 --address=/x.test/1.2.3.4') },
    // A question for x.test, type A, after its length; the answer ends with the address.
    ...{
      port: 5353,
      ask: '\u0000\u0018\u0012\u0034\u0001\u0000\u0000\u0001\u0000\u0000\u0000\u0000\u0000\u0000\u0001x\u0004test\u0000\u0000\u0001\u0000\u0001',
      answer: new RegExp(`${String.fromCharCode(1, 2, 3, 4)}$`),
    },
  },
  {
    name: 'systemd',
    recipe: {
      packages: ['systemd', 'systemd-sysv', 'dbus', 'iproute2', 'nginx-light'],
      config: ['--stop-signal', 'SIGRTMIN+3', ...cmd('/sbin/init')],
    },
    ...{ port: 80, ask: HTTP, answer: /200 OK[^]*nginx/, memory: '512M' },
  },
  {
    name: 'lighttpd',
    recipe: { packages: ['lighttpd'], config: cmd('lighttpd -D -f /etc/lighttpd/lighttpd.conf') },
    ...{ port: 80, ask: HTTP, answer: /lighttpd/ },
  },
  {
    name: 'busybox',
    recipe: {
      ...{
        from: 'scratch',
        packages: ['busybox-static'],
        out: 'mkdir /out/bin /out/srv; cp /bin/busybox /out/bin; echo "from busybox" > /out/srv/index.html',
      },
      // It has users, but not root.
      files: { 'etc/passwd': 'nobody:x:65534:65534::/:/bin/false\n' },
      config: words('/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/srv'),
    },
    ...{ port: 80, ask: HTTP, answer: /from busybox/ },
    says: [[['exec', 'busybox', '--', '/bin/busybox', 'sh', '-c', 'id -u; echo $HOME'], /^0\n\/root\n$/]],
  },
  {
    name: 'distroless-like',
    // One program with its libraries, without a shell.
    recipe: {
      ...{ from: 'scratch', packages: ['memcached'], out: `mkdir -p /out/usr/bin; cp /usr/bin/memcached /out/usr/bin; ${LIBRARIES}` },
      config: ['--user', '65532:65532', ...words('/usr/bin/memcached', '-l', '0.0.0.0')],
    },
    ...{ port: 11_211, ask: 'version\r\n', answer: /^VERSION 1/ },
  },
  {
    name: 'alpine-like',
    // musl as the C library, busybox for all programs, scripts of OpenRC, and no file that names the distribution.
    recipe: {
      ...{ from: 'scratch', packages: ['busybox-static', 'musl-tools', 'gcc', 'libc6-dev'] },
      out: [
        'mkdir -p /out/bin /out/sbin /out/lib /out/etc/init.d /out/usr/bin',
        'cp /bin/busybox /out/bin; cp /usr/lib/x86_64-linux-musl/libc.so /out/lib/ld-musl-x86_64.so.1',
        'for p in sh ls cat id ps sleep; do ln -s /bin/busybox /out/bin/$p; done; ln -s /bin/busybox /out/sbin/init',
        'echo "::sysinit:/sbin/openrc sysinit" > /out/etc/inittab; echo "#!/sbin/openrc-run" > /out/etc/init.d/serve',
        'echo "root:x:0:0:root:/root:/bin/sh" > /out/etc/passwd',
        `${file('/tmp/serve.c', MUSL_SERVER)}musl-gcc -O1 -o /out/usr/bin/serve /tmp/serve.c`,
      ].join('\n'),
      config: ['--env', 'PATH=/usr/bin:/bin:/sbin', ...words('serve')],
    },
    ...{ port: 7000, answer: /^from musl/ },
  },
  {
    name: 'golang',
    recipe: {
      ...{
        from: 'scratch',
        packages: ['golang-go'],
        out: `${file('/tmp/serve.go', GO_SERVER)}cd /tmp && CGO_ENABLED=0 GOCACHE=/tmp/cache go build -o /out/serve serve.go`,
      },
      config: words('/serve'),
    },
    ...{ port: 8080, ask: HTTP, answer: /from go/ },
  },
  {
    name: 'rust',
    recipe: {
      ...{ from: 'scratch', packages: ['rustc'] },
      out: `${file('/tmp/serve.rs', RUST_SERVER)}rustc -C target-feature=+crt-static -o /out/serve /tmp/serve.rs`,
      config: ['--user', '1000', ...words('/serve')],
    },
    ...{ port: 8080, answer: /^from rust/ },
  },
];
