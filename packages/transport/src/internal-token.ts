import { createHash, type KeyObject } from 'node:crypto';
import type { RequestContext } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';

const ISSUER = 'novacron-gateway';
const TYPE = 'novacron-internal+jwt';
const ALGORITHM = 'EdDSA';
const LIFETIME_S = 30;
/** How far two machines' clocks may be apart. */
const CLOCK_TOLERANCE_S = 5;

/** Signs one request: on whose behalf it is, for which audience, with exactly this body. */
export type RequestSigner = (audience: string, body: string, context: RequestContext) => Promise<string>;
/** Who a request is on behalf of; UNAUTHENTICATED unless its token was made for it by the gateway, moments ago. */
export type RequestVerifier = (audience: string, body: string, token: string | undefined) => Promise<RequestContext>;

const claims = z.object({
  requestId: z.string(),
  address: z.string().nullable(),
  userAgent: z.string().nullable(),
  bodySha256: z.string(),
  viewer: z
    .object({
      userId: z.string(),
      sessionId: z.string(),
      roles: z.array(z.object({ role: z.string(), tenantId: z.string() })),
      scopes: z.array(z.string()).optional(),
      owes: z.string().optional(),
    })
    .nullable(),
});

const digest = (body: string): string => createHash('sha256').update(body).digest('base64url');

/** The gateway's side of the internal token. */
export function createRequestSigner(privateKey: KeyObject): RequestSigner {
  return (audience, body, { viewer, requestId, address, userAgent }) =>
    new SignJWT({ viewer, requestId, address, userAgent, bodySha256: digest(body) })
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${LIFETIME_S}s`)
      .sign(privateKey);
}

/** The subgraph's side of the internal token: it knows the public key and nothing that could sign. */
export function createRequestVerifier(publicKey: KeyObject): RequestVerifier {
  return async (audience, body, token) => {
    if (token === undefined) throw refusal();
    try {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: [ALGORITHM],
        typ: TYPE,
        issuer: ISSUER,
        audience,
        requiredClaims: ['exp', 'iat'],
        maxTokenAge: LIFETIME_S,
        clockTolerance: CLOCK_TOLERANCE_S,
      });
      const { bodySha256, ...context } = claims.parse(payload);
      if (bodySha256 !== digest(body)) throw refusal();
      return context as RequestContext; // ids and roles are branded for the compiler only; the gateway signed them
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof z.ZodError) throw refusal(error);
      throw error;
    }
  };
}

const refusal = (cause?: unknown) =>
  new DomainError('UNAUTHENTICATED', 'This address answers the gateway only.', { cause });
