export { loadOrCreateMasterKey } from './master-key.ts';
export { checkMasterKey, openBox, sealBox } from './sealed-box.ts';
export { createSecrets, secretsOf, type Sealed, type Secrets } from './secrets.ts';
