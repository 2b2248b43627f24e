-- How many mails somebody was sent lately is counted before another one is posted.

-- CreateIndex
CREATE INDEX "mails_recipient_created_at_idx" ON "mails"("recipient", "created_at");
