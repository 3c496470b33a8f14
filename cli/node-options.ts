// What a node runner is told on its command line, as `purser node` and as a file of its own.
// In: a command. Out: the same with options. Not here: what becomes of them (node-run.ts).

import type { Command } from 'commander';

export const runOptions = (command: Command): Command =>
  command
    .option('--name <node>', 'join, run: as in nodes/<name>.yaml (join: default the host name)')
    .option('--cluster <name>', 'run: the name in cluster.yaml (default: as joined)')
    .option('--node-root <dir>', 'where everything of this node lies (default ROOT/nodes/NAME)')
    .option('--link <address...>', 'reconcilers: unix:/path, 127.0.0.1:PORT or tls:HOST:PORT')
    .option('--containerd <socket>', 'a containerd that runs already (default: a private one)')
    .option('--containerd-binary <path>', 'program of the private containerd', 'containerd')
    .option('--address <ip>', 'address at which published ports answer')
    .option('--cpu <cores>', 'CPU for allocations: 2, 1500m')
    .option('--memory <size>', 'memory for allocations: 4GiB')
    .option('--subnet <cidr>', 'addresses for allocations: 10.1.4.0/22')
    .option('--cni-config <path>', 'CNI plugins in place of the own network: a .conflist')
    .option('--cni-bin <dir>', 'where the CNI plugins are', '/usr/lib/cni')
    .option('--dns <address>', 'run: services by DNS for this machine too: 127.0.0.1:53')
    .option('--haproxy-file <path>', 'run: keep the services here, as backends of HAProxy')
    .option('--traefik-file <path>', "run: the same for Traefik's file provider")
    .option('--prometheus-file <path>', "run: the same for Prometheus' file_sd")
    .option('--consul <url>', "run: tell Consul's local agent: http://127.0.0.1:8500")
    .option('--consul-token-file <path>', 'file with a token for it')
    .option('--registry-credentials <path>', "docker's config.json")
    .option('--insecure-registry <host:port...>', 'registries that speak plain http')
    .option('--end-with-stdin', 'end when stdin closes');
