import { LIBVIRT_SUBJECTS } from '@novacron/local';

/** The configuration of test hosts. It trusts everyone on the hosts' own network: never the product's. */
export const daemonConfiguration = (uuid: string, tls: boolean): string => `\
listen_tls = ${tls ? 1 : 0}
tls_allowed_dn_list = ["${LIBVIRT_SUBJECTS}"]
listen_tcp = 1
listen_addr = "0.0.0.0"
auth_tcp = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
host_uuid = "${uuid}"
max_clients = 1000
max_queued_clients = 1000
max_client_requests = 50
keepalive_interval = 5
keepalive_count = 5
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
`;

/**
 * QEMU as root and nothing chowned: a host's files belong to the test. No virtlogd (stdio_handler), and no
 * mount namespace per guest, because a host is one already.
 */
export const qemuConfiguration = (address: string, controllers: readonly string[], more: string): string => `\
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = [${controllers.map((name) => `"${name}"`).join(', ')}]
stdio_handler = "file"
seccomp_sandbox = 1
vnc_listen = "127.0.0.1"
migration_address = "0.0.0.0"
migration_host = "${address}"
${more}
`;

/** Guests' memory migrates encrypted, between certificates that QEMU checks on both sides. */
export const QEMU_TLS = `\
default_tls_x509_cert_dir = "/etc/pki/qemu"
default_tls_x509_verify = 1
`;
