export { loadOrCreateMasterKeys } from './master-key.ts';
export { rotateMasterKey, ROTATION_STEPS, type RotationOptions, type RotationStep } from './rotation.ts';
export { SEALED_COLUMNS } from './sealed-columns.ts';
export { createSecrets, secretsOf, type Sealed, type Secrets } from './secrets.ts';
