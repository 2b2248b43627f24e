export { startAgent, type AgentOptions, type AgentProcess } from './agent.ts';
export type { AttachHost, HostAgent, HostAttachment, HostRecord, HostWatcher } from './host-agent.ts';
export { fromLibvirt } from './libvirt-errors.ts';
