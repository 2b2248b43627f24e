import { connectionType, pageArguments } from '@novacron/graphql';
import { z } from 'zod';
import type { SettingChangeRecord, SettingRecord } from '../settings/administration.ts';
import { SETTINGS } from '../settings/catalogue.ts';
import { viewUser } from '../visibility.ts';
import { builder } from './context.ts';
import { User } from './user.ts';

const Setting = builder.objectRef<SettingRecord>('Setting').implement({
  description: 'Something that administrators may change while NovaCron runs.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name, such as "registration.open".' }),
    description: t.string({ description: 'What it does.', resolve: ({ name }) => SETTINGS[name].description }),
    value: t.field({ type: 'JSON', description: 'What holds now.', resolve: ({ value }) => value }),
    default: t.field({ type: 'JSON', description: 'What holds unless somebody says otherwise.', resolve: ({ name }) => SETTINGS[name].otherwise }),
    schema: t.field({ type: 'JSON', description: 'Which values it takes, as a JSON Schema.', resolve: ({ name }) => z.toJSONSchema(SETTINGS[name].schema) }),
    changedAt: t.field({ type: 'DateTime', nullable: true, description: 'When it was set; null while it has its default.', resolve: ({ changedAt }) => changedAt }),
    changedBy: t.field({
      type: User,
      nullable: true,
      description: 'Who set it; null while it has its default.',
      resolve: async ({ changedBy }, _args, { loaders, viewer }) => (changedBy === null ? null : viewUser(await loaders.users.load(changedBy), viewer)),
    }),
  }),
});

const SettingChange = builder.objectRef<SettingChangeRecord>('SettingChange').implement({
  description: 'That somebody changed a setting.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: "The setting's name." }),
    before: t.field({ type: 'JSON', nullable: true, description: 'The value before; null for the default.', resolve: ({ before }) => before }),
    after: t.field({ type: 'JSON', nullable: true, description: 'The value from then on; null for the default.', resolve: ({ after }) => after }),
    changedAt: t.field({ type: 'DateTime', description: 'When.', resolve: ({ at }) => at }),
    changedBy: t.field({
      type: User,
      nullable: true,
      description: 'Who; null where the account is gone.',
      resolve: async ({ by }, _args, { loaders, viewer }) => viewUser(await loaders.users.load(by), viewer),
    }),
  }),
});

const SettingChangeConnection = connectionType(builder, 'SettingChange', SettingChange);

builder.queryFields((t) => ({
  settings: t.field({
    type: [Setting],
    requiresScopes: [['settings:read']],
    listSize: { assumedSize: Object.keys(SETTINGS).length },
    description: 'Everything that administrators may change while NovaCron runs, by name. Needs settings:read.',
    resolve: (_root, _args, { settings, viewer }) => settings.list(viewer),
  }),
  settingChanges: t.field({
    type: SettingChangeConnection,
    requiresScopes: [['settings:read']],
    description: 'Who has changed which setting, the newest first. Needs settings:read. NOT_FOUND for the name of no setting.',
    args: { ...pageArguments(t.arg), name: t.arg.string({ description: 'Of this setting alone.' }) },
    resolve: (_root, args, { settings, viewer }) => settings.changes(viewer, args),
  }),
}));

builder.mutationFields((t) => ({
  updateSetting: t.field({
    type: Setting,
    requiresScopes: [['settings:update']],
    description: 'Changes a setting: it holds at once, everywhere. Needs settings:update. NOT_FOUND for the name of no setting; BAD_USER_INPUT for a value that its schema refuses.',
    args: {
      name: t.arg.string({ required: true, description: "The setting's name." }),
      value: t.arg({ type: 'JSON', description: 'What shall hold, see Setting.schema; null: the default again.' }),
    },
    resolve: (_root, { name, value }, context) => context.settings.update(context, { name, value }),
  }),
}));
