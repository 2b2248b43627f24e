-- What has ended lately is asked for several times a second.
CREATE INDEX "api_tokens_revoked_at_idx" ON "api_tokens"("revoked_at");
