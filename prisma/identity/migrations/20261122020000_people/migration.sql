-- AlterEnum
ALTER TYPE "mail_token_purpose" ADD VALUE 'change_email';

-- AlterTable
ALTER TABLE "users" ADD COLUMN     "invited_at" TIMESTAMPTZ(3);
