export { auditSubgraph, endingOf, isDenial, placed } from './audited-subgraph.ts';
export { BEGINNING, faultAfter, type ChainedRow, type Place } from './chain.ts';
export { askerOf, CREDENTIALS, KINDS, legible, OUTCOMES, readEntry, type Asker, type AuditEntry, type Credential, type Deed, type Ending, type Kind, type Outcome } from './entry.ts';
export { redacted } from './redaction.ts';
export { targetReader, type Target } from './target.ts';
export { createAuditTrail, type AuditTrail, type AuditTrailOptions, type Begun } from './trail.ts';
export { followLog } from './log.ts';
export { openSeal, SEAL_CONTEXT, sealAudit, startAuditSeal } from './seal.ts';
export { verifyAudit, type Verdict } from './verification.ts';
