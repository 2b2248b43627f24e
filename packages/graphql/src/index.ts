export { createBuilder, entityStub, toSubgraphSchema, type Builder } from './builder.ts';
export { byId, byIdDescending, connectionType, cursorId, forwardArguments, PAGE_SIZE, pageArguments, parsePage, toConnection, type Connection, type Page, type PageArguments } from './connection.ts';
export { containing, equalsId } from './filter.ts';
export { countLoader, rowLoader, rowsLoader } from './loaders.ts';
export { parseByteSize, parseDateTime } from './scalars.ts';
export { hostStateEnum, metricsTypes, migrationStateEnum, operationErrorType, operationStateEnum, sharedSdl, vmFilterInput, vmStateEnum } from './shared.ts';
export { verdictOf, verdictType, type Verdict } from './verdict.ts';
