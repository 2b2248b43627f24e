import type { SshKeyRecord } from '../machines/ssh-keys.ts';
import { requireSeesSessions } from '../visibility.ts';
import { builder } from './context.ts';
import { User } from './user.ts';

const SshKey = builder.objectRef<SshKeyRecord>('SshKey').implement({
  description: 'A public key with which its user signs in to VMs: createVm gives it to cloud-init.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'What it is called: its comment unless told.' }),
    publicKey: t.exposeString('publicKey', { description: 'The key as a line of an authorized_keys file.' }),
    fingerprint: t.exposeString('fingerprint', { description: 'As "ssh-keygen -l" says it: SHA256:...' }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was added.', resolve: (key) => key.createdAt }),
  }),
});

builder.objectFields(User, (t) => ({
  sshKeys: t.field({
    type: [SshKey],
    listSize: { assumedSize: 3 },
    description: 'Its SSH keys, the oldest first. Guarded as its sessions are.',
    resolve: (view, _args, { loaders }) => {
      requireSeesSessions(view);
      return loaders.sshKeys.load(view.user.id);
    },
  }),
}));

const AddSshKeyInput = builder.inputType('AddSshKeyInput', {
  description: 'A public key of SSH.',
  fields: (t) => ({
    publicKey: t.string({ required: true, description: 'One line, as in id_ed25519.pub: ed25519, ecdsa, their security-key kinds, or RSA with 2048 bits or more.' }),
    name: t.string({ description: 'What to call it: its comment unless told.' }),
  }),
});

builder.mutationFields((t) => ({
  addSshKey: t.field({
    type: SshKey,
    description: 'Remembers a public key of yours: createVm gives it to a VM by its id, or all of yours. BAD_USER_INPUT (publicKey, name), ALREADY_EXISTS, QUOTA_EXCEEDED at 64; FORBIDDEN to who owes something first.',
    args: { input: t.arg({ type: AddSshKeyInput, required: true, description: 'The key.' }) },
    resolve: (_root, { input }, context) => context.sshKeys.add(context, input),
  }),
  removeSshKey: t.boolean({
    description: 'Forgets a public key of yours; VMs that were given it keep it. True. NOT_FOUND; FORBIDDEN to who owes something first.',
    args: { id: t.arg.id({ required: true, description: "The key's id." }) },
    resolve: async (_root, { id }, context) => {
      await context.sshKeys.remove(context, id);
      return true;
    },
  }),
}));
